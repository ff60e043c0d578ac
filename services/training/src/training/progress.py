"""Shows how far long work is: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    """Tells that work went on."""

    def __call__(self, steps: int = 1, amount: int = 0, note: str = "") -> None:
        """Add ``steps`` of the total and ``amount`` of what the rate counts; show ``note``."""


class Progress:
    """Shows one task at a time on ``console``; ``clock`` counts seconds."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock

    def say(self, message: str) -> None:
        """Print one line."""
        self._console.print(escape(message), highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
        """Show a task of ``total`` steps, ``done`` of them earlier; its rate counts ``unit``."""
        pace = _Pace(title, total, unit, done, self._clock)
        if self._console.is_terminal:
            with _bar(self._console) as bar:
                shown = bar.add_task(title, total=total, completed=done, pace="")

                def advance(steps: int = 1, amount: int = 0, note: str = "") -> None:
                    pace.add(steps, amount, note)
                    bar.update(shown, completed=pace.done, pace=escape(pace.rate_and_note()))

                yield advance
            return

        def log(steps: int = 1, amount: int = 0, note: str = "") -> None:
            pace.add(steps, amount, note)
            if pace.is_due():
                self.say(pace.line())

        yield log


class _Pace:
    """How far a task is and how fast; what was done before it began does not count as speed."""

    def __init__(
        self, title: str, total: int, unit: str, done: int, clock: Callable[[], float]
    ) -> None:
        self.done = done
        self._title, self._total, self._unit = title, total, unit
        self._clock, self._began_at = clock, done
        self._began = self._shown = self._now = clock()
        self._amount, self._note = 0, ""

    def add(self, steps: int, amount: int, note: str) -> None:
        self.done += steps
        self._amount += amount or steps
        self._note = note or self._note
        self._now = self._clock()

    def is_due(self) -> bool:
        if self._now - self._shown < SECONDS_BETWEEN_LINES and self.done != self._total:
            return False
        self._shown = self._now
        return True

    def rate_and_note(self) -> str:
        rate = self._amount / max(self._now - self._began, 1e-9)
        return f"{rate:,.0f} {self._unit}/s  {self._note}".rstrip()

    def line(self) -> str:
        here = max(self.done - self._began_at, 1)
        left = (self._now - self._began) / here * (self._total - self.done)
        return f"{self._title} {self.done}/{self._total}  {self.rate_and_note()}  {left:.0f} s left"


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
        console=console,
    )
