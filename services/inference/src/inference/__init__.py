"""Weir inference: runs model packages and records every prediction."""

import os

from servicekit.lean_imports import read_lean

# Before any import of ONNX Runtime: it would give this machine a lasting identifier and report its
# use to its makers, and asks this variable alone, once.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
read_lean("structlog")
