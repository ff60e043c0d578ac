"""What the person at the terminal sees: one line a step, plain where nobody watches."""

import sys
from contextlib import suppress

from rich.console import Console
from rich.text import Text


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Goes on without a reader; rich would end the process."""
        self.quiet = True


class Report:
    """Writes to stdout, and to stderr what went wrong.

    A terminal that went away must not keep the platform from stopping in order: failures to
    write are ignored.
    """

    def __init__(self) -> None:
        self._out = _Terminal(file=sys.stdout, highlight=False, soft_wrap=True)
        self._err = _Terminal(file=sys.stderr, highlight=False, soft_wrap=True)

    def step(self, name: str, seconds: float) -> None:
        """A step is done."""
        self._print(self._out, f"✓ {name:<16}{seconds:6.1f} s", "green")

    def note(self, text: str) -> None:
        """Something worth knowing happened."""
        self._print(self._out, text)

    def warn(self, text: str) -> None:
        """Something went wrong and is being mended."""
        self._print(self._out, f"! {text}", "yellow")

    def fail(self, text: str) -> None:
        """Nothing goes on."""
        self._print(self._err, f"weir: {text}", "red")

    def _print(self, console: Console, text: str, style: str = "") -> None:
        with suppress(OSError, UnicodeEncodeError):
            console.print(Text(text, style=style))
