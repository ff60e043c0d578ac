"""Watches what models see and say.

One thread for linear algebra, set before anybody imports numpy: the matrices are small, and
OpenBLAS's further threads only spin, at ten times the processor time and more beside other work.
"""

import os

from servicekit.garbage import collect_seldom
from servicekit.lean_imports import read_lean

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
collect_seldom()
read_lean("structlog", "opentelemetry.sdk.resources", "redis.asyncio", "httpx")
