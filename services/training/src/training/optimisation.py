"""How weights move: groups of parameters, the learning rate's course, a moving average."""

from __future__ import annotations

import math
from typing import Any

import torch

from training.text_classifier import TextClassifier
from training.training_recipe import Training


def make_optimizer(model: TextClassifier, recipe: Training) -> torch.optim.AdamW:
    """AdamW over all weights that are not frozen; each group knows its ``peak`` learning rate."""
    head_rate = recipe.head_learning_rate or recipe.learning_rate
    groups = []
    for part, peak in ((model.encoder, recipe.learning_rate), (model.head, head_rate)):
        weights = [weight for weight in part.parameters() if weight.requires_grad]
        # Biases and layer norms are vectors; decaying them towards zero only distorts scales.
        for decay, chosen in (
            (recipe.weight_decay, [weight for weight in weights if weight.dim() > 1]),
            (0.0, [weight for weight in weights if weight.dim() == 1]),
        ):
            groups.append({"params": chosen, "weight_decay": decay, "peak": peak, "lr": peak})
    return torch.optim.AdamW(groups, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to ``factor`` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def schedule(done: int, total: int, warmup: float, decay: str) -> float:
    """The factor on the learning rate for the step after ``done`` steps: up to 1, then down."""
    rise = max(1, round(total * warmup))
    if done < rise:
        return (done + 1) / rise
    left = (total - done) / max(1, total - rise)
    if decay == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return left if decay == "linear" else 1.0


class MovingAverage:
    """An exponential moving average of the trained weights.

    The decay begins low and rises to its value, so that the untrained beginning is forgotten.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self._decay = decay
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._average = [weight.detach().clone() for weight in self._weights]
        self._updates = 0

    def update(self) -> None:
        """Take the weights of the step just done into the average."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        with torch.no_grad():
            current = [weight.detach() for weight in self._weights]
            torch._foreach_lerp_(self._average, current, 1 - decay)

    def swap(self) -> None:
        """Exchange weights and average; twice changes nothing."""
        with torch.no_grad():
            for weight, average in zip(self._weights, self._average, strict=True):
                kept = weight.detach().clone()
                weight.copy_(average)
                average.copy_(kept)

    def state(self) -> dict[str, Any]:
        """What ``load`` needs."""
        return {"average": self._average, "updates": self._updates}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for average, kept in zip(self._average, state["average"], strict=True):
            average.copy_(kept)
        self._updates = state["updates"]
