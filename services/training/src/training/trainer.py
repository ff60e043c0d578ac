"""Trains a classifier step by step, from wherever it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from training.batches import epoch_batches
from training.dev_metrics import Scores, mean_over_sources, measure
from training.domain import TrainingError
from training.encoded_rows import Batch, EncodedRow, make_batch
from training.optimisation import MovingAverage, make_optimizer, schedule, set_learning_rate
from training.precision import DTYPES
from training.text_classifier import TextClassifier
from training.training_recipe import Training


class Objective(Protocol):
    """What is minimised: maps a model and a batch to one loss per row, float32 ``[rows]``."""

    def __call__(self, model: TextClassifier, batch: Batch) -> torch.Tensor:
        """The losses, with their graph."""


@dataclass(slots=True)
class Position:
    """How far a run is, in plain values. ``epoch`` and ``step_in_epoch`` are of the next step."""

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    tokens: int = 0
    best_value: float | None = None
    best_step: int = 0
    best_scores: Scores = field(default_factory=dict)
    unimproved: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: its mean loss per row, its learning rate, its tokens (no padding)."""

    number: int
    loss: float
    learning_rate: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: every source's scores and their mean in the recipe's metric."""

    step: int
    scores: Scores
    value: float
    is_best: bool


class Trainer:
    """The same rows, recipe, random state, device and number of threads give the same weights.

    The random state (dropout) is torch's global one: who calls seeds it, and forks it off.
    """

    def __init__(
        self,
        model: TextClassifier,
        objective: Objective,
        train: Sequence[EncodedRow],
        dev: Sequence[EncodedRow],
        recipe: Training,
        *,
        device: torch.device,
        precision: str,
    ) -> None:
        self.model: TextClassifier = model.to(device)
        if recipe.freeze_embeddings:
            model.encoder.get_input_embeddings().weight.requires_grad_(False)
        self.position = Position()
        self._objective, self._train, self._dev = objective, train, dev
        self._recipe, self._device = recipe, device
        self._dtype = DTYPES[precision]
        self._optimizer = make_optimizer(model, recipe)
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self._average = MovingAverage(model, recipe.ema) if recipe.ema else None
        self._best: dict[str, torch.Tensor] = {}
        self._lengths = [len(row.ids) for row in train]
        self.total = sum(len(self._steps(epoch)) for epoch in range(recipe.epochs))

    def run(
        self, on_step: Callable[[Step], object], on_measured: Callable[[Measured], object]
    ) -> None:
        """Go on to the end, or to where the dev metric has stopped improving.

        ``on_step`` comes last in a step: what it keeps of ``state()`` is where a run goes on. It
        may raise, to stop the run there. Raises TrainingError when the loss is not a number.
        """
        self.model.train()
        at = self.position
        for epoch in range(at.epoch, self._recipe.epochs):
            steps = self._steps(epoch)
            for index in range(at.step_in_epoch, len(steps)):
                if at.stopped:
                    return
                step = self._step(steps[index])
                ended = index + 1 == len(steps)
                at.epoch, at.step_in_epoch = (epoch + 1, 0) if ended else (epoch, index + 1)
                if self._is_measured(ended):
                    on_measured(self._measure())
                on_step(step)

    def state(self) -> dict[str, Any]:
        """All that decides how the run goes on, and the best weights so far."""
        cuda = [torch.cuda.get_rng_state(self._device)] if self._device.type == "cuda" else []
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self._average.state() if self._average else {},
            "random": [torch.get_rng_state(), *cuda],
            "best": self._best,
            "position": asdict(self.position),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state, also for torch's global random state."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average:
            self._average.load(state["average"])
        self._best = dict(state["best"])
        self.position = Position(**state["position"])
        cpu, *cuda = state["random"]
        torch.set_rng_state(cpu)
        if cuda and self._device.type == "cuda":
            torch.cuda.set_rng_state(cuda[0], self._device)

    def take_best(self) -> TextClassifier:
        """The model with the best weights, in eval mode and on the CPU."""
        self.model.load_state_dict(self._best)
        model = self.model
        model.cpu()
        model.eval()
        return model

    def _steps(self, epoch: int) -> list[list[list[int]]]:
        """The batches of every optimiser step of an epoch."""
        recipe = self._recipe
        batches = epoch_batches(
            self._lengths,
            rows=recipe.rows_per_batch,
            tokens=recipe.tokens_per_batch,
            seed=recipe.seed,
            epoch=epoch,
        )
        size = recipe.accumulate
        return [batches[start : start + size] for start in range(0, len(batches), size)]

    def _step(self, batches: Sequence[Sequence[int]]) -> Step:
        recipe, at = self._recipe, self.position
        factor = schedule(at.step, self.total, recipe.warmup, recipe.decay)
        set_learning_rate(self._optimizer, factor)
        rows = sum(len(indices) for indices in batches)
        loss, tokens = 0.0, 0
        for indices in batches:
            batch = make_batch(self._train, indices, self.model.pad_id, self._device)
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
                # Over all rows of the step: a batch of long rows has fewer of them.
                part = self._objective(self.model, batch).sum() / rows
            self._scaler.scale(part).backward()
            loss += float(part.detach())
            tokens += batch.tokens
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of step {at.step + 1} is {loss}: try a lower learning rate or fp32"
            )
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.gradient_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()
        if self._average:
            self._average.update()
        at.step += 1
        at.tokens += tokens
        return Step(at.step, loss, recipe.learning_rate * factor, tokens)

    def _is_measured(self, epoch_ended: bool) -> bool:
        every = self._recipe.evaluate_every
        due = epoch_ended if every is None else self.position.step % every == 0
        # The end is always measured: a run without a measurement has no best weights.
        return due or self.position.step == self.total

    def _measure(self) -> Measured:
        recipe, at = self._recipe, self.position
        if self._average:
            self._average.swap()
        scores = measure(
            self.model,
            self._dev,
            rows_per_batch=recipe.rows_per_batch,
            tokens_per_batch=recipe.tokens_per_batch,
            device=self._device,
        )
        value = mean_over_sources(scores, recipe.metric)
        sign = -1 if recipe.metric == "loss" else 1
        is_best = at.best_value is None or sign * value > sign * at.best_value
        if is_best:
            at.best_value, at.best_step, at.best_scores, at.unimproved = value, at.step, scores, 0
            self._best = {
                name: weight.detach().cpu().clone()
                for name, weight in self.model.state_dict().items()
            }
        else:
            at.unimproved += 1
            at.stopped = recipe.patience is not None and at.unimproved >= recipe.patience
        if self._average:
            self._average.swap()
        return Measured(at.step, scores, value, is_best)
