"""What happens between the steps of a run: its log, its checkpoints, its stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from training.domain import Interrupted
from training.recipe import Recipe
from training.run_directory import RunDirectory
from training.trainer import Measured, Step, Trainer

STEPS_BETWEEN_LOGS = 20


class Watch:
    """Logs, keeps checkpoints and stops, between the steps of a run."""

    def __init__(
        self,
        trainer: Trainer,
        run: RunDirectory,
        recipe: Recipe,
        clock: Callable[[], float],
        stop_signal: Callable[[], int],
        seconds: float,
        on_event: Callable[[Mapping[str, Any]], object] = lambda event: None,
    ) -> None:
        self._trainer, self._run, self._recipe = trainer, run, recipe.training
        self._clock, self._stop_signal = clock, stop_signal
        self._before, self._on_event = seconds, on_event
        self._began = self._saved = clock()

    def seconds(self) -> float:
        """The time that the run took, with what it took before it was resumed."""
        return self._before + self._clock() - self._began

    def measured(self, result: Measured) -> None:
        """Log a measurement."""
        self._log(
            {
                "step": result.step,
                "dev": result.scores,
                "mean": result.value,
                "best": result.is_best,
            }
        )

    def stepped(self, step: Step) -> None:
        """Log and keep what is due; raise Interrupted, with a checkpoint, after a signal."""
        if step.number % STEPS_BETWEEN_LOGS == 0:
            self._log(
                {
                    "step": step.number,
                    "loss": step.loss,
                    "learning_rate": step.learning_rate,
                    "tokens": self._trainer.position.tokens,
                    "seconds": round(self.seconds(), 3),
                }
            )
        signal = self._stop_signal()
        if signal or self._is_due(step.number):
            self._run.save({**self._trainer.state(), "seconds": self.seconds()}, step.number)
            self._saved = self._clock()
        if signal:
            raise Interrupted(f"stopped after step {step.number}: go on with --resume", signal)

    def _log(self, event: Mapping[str, Any]) -> None:
        self._run.log(event)
        self._on_event(event)

    def _is_due(self, step: int) -> bool:
        every = self._recipe.checkpoint_every_steps
        minutes = (self._clock() - self._saved) / 60
        return bool(every and step % every == 0) or minutes >= self._recipe.checkpoint_every_minutes
