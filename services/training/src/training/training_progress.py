"""Shows how far training is: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.fine_tune import Step

SECONDS_BETWEEN_LINES = 10.0
# The weight of the newest step in the shown loss; one batch alone says little.
SMOOTHING = 0.02


class TrainingProgress:
    """A context manager that is called with every step; ``clock`` counts seconds."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._started = self._shown = clock()
        self._loss: float | None = None
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("fine-tuning"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:.0f} texts/s  loss {task.fields[loss]:.3f}"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task("fine-tuning", total=None, rate=0.0, loss=0.0)

    def __enter__(self) -> TrainingProgress:
        """Start the bar, if there is one."""
        self._started = self._shown = self._clock()
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the bar and leave its last state on the screen."""
        if self._bar:
            self._bar.stop()

    def __call__(self, step: Step) -> None:
        """Take note of one step, and show it when it is time to."""
        previous = step.loss if self._loss is None else self._loss
        self._loss = previous + SMOOTHING * (step.loss - previous)
        now = self._clock()
        rate = step.examples / max(now - self._started, 1e-9)
        if self._bar:
            self._bar.update(
                self._task, completed=step.done, total=step.total, rate=rate, loss=self._loss
            )
        elif now - self._shown >= SECONDS_BETWEEN_LINES or step.done == step.total:
            self._shown = now
            left = (now - self._started) / step.done * (step.total - step.done)
            self._console.print(
                f"step {step.done}/{step.total}  {rate:.0f} texts/s  loss {self._loss:.3f}  "
                f"{left:.0f} s left",
                highlight=False,
                soft_wrap=True,
            )
