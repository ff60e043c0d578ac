"""Weir inference: runs model packages and records every prediction."""

import os

from servicekit.garbage import collect_seldom
from servicekit.lean_imports import read_lean

# Before any import of ONNX Runtime: it would give this machine a lasting identifier and report its
# use to its makers, and asks this variable alone, once.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
collect_seldom()
read_lean("structlog")
