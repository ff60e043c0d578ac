"""Watches what models see and say.

One thread for linear algebra, set before anybody imports numpy: the matrices are small, and
OpenBLAS's further threads only spin, at ten times the processor time and more beside other work.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
