"""Weir training: from labelled text to a model package that serves itself."""

import os

# Before any import of ONNX Runtime: it would give this machine a lasting identifier and report its
# use to its makers, and asks this variable alone, once.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
