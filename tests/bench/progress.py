"""Lines that tell how far a long run is."""

import time

from rich.console import Console


class Progress:
    """Counts planned seconds down; what is still planned takes as long as what was done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._planned = 0.0
        self._done = 0.0

    def plan(self, seconds: float) -> None:
        """More is to come."""
        self._planned += seconds

    def step(self, message: str, seconds: float) -> None:
        """Something planned was done."""
        self._done += seconds
        self.say(message)

    def say(self, message: str) -> None:
        """One line, with the minutes left."""
        elapsed = time.monotonic() - self._began
        left = ""
        if self._done:
            pace = elapsed / self._done
            left = f"{max(0.0, self._planned - self._done) * pace / 60:5.1f} min left"
        self._console.print(f"[dim]{_clock(elapsed)} {left:<15}[/dim] {message}", highlight=False)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:2d}:{int(seconds) % 60:02d}"
