"""The terminal that commands speak to."""

from __future__ import annotations

import time

from rich.console import Console

from training.progress import Progress


def terminal_progress() -> Progress:
    """Progress on standard error: standard output is for results that a program may read.

    Made per command: a console bound at import would keep a test's or a pipe's old stderr.
    """
    return Progress(Console(stderr=True), time.monotonic)
