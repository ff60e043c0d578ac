"""The figures of a model's answers to labelled rows: of all, of resamples, and of a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training import classification_scores
from training.probabilities import Floats, Integers, Logits, log_losses, softmax
from training.reliability import BINS, Binning, bin_edges, bin_of, brier_scores
from training.resampling import Bootstrap, Interval, percentile_interval

# Which way is better: the sign of an improvement.
SIGNS = {
    "accuracy": 1,
    "macro_f1": 1,
    "roc_auc": 1,
    "log_loss": -1,
    "brier": -1,
    "ece": -1,
    "ece_equal_mass": -1,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval; without a value, the reason why there is none."""

    value: float | None
    interval: Interval | None = None
    reason: str | None = None

    def fields(self) -> dict[str, Any]:
        """As it stands in ``evaluation.json``."""
        if self.value is None:
            return {"value": None, "low": None, "high": None, "reason": self.reason}
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        return {"value": self.value, "low": low, "high": high}


class Answers:
    """A model's answers to rows, with all that their figures are made of."""

    def __init__(self, logits: Logits, labels: Integers, temperature: float) -> None:
        self.probabilities = softmax(logits, temperature)
        self.labels = labels
        self.predicted: Integers = self.probabilities.argmax(axis=1).astype(np.int64)
        self.hits = (self.predicted == labels).astype(np.float64)
        self.confidences: Floats = self.probabilities.max(axis=1)
        self.classes = logits.shape[1]
        self._losses = np.stack(
            [log_losses(logits, labels, temperature), brier_scores(self.probabilities, labels)],
            axis=1,
        )
        self._gaps = {
            "ece": self._binned_gaps("width"),
            "ece_equal_mass": self._binned_gaps("mass"),
        }

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """Every figure of ``SIGNS`` for each of ``[resamples, rows]``; NaN where undefined.

        The bins of equal mass are those of the rows as they are.
        """
        matrix = classification_scores.confusion(self.labels, self.predicted, self.classes, weights)
        rows = weights.sum(axis=1)
        losses = weights @ self._losses / rows[:, None]
        return {
            "accuracy": classification_scores.accuracy(matrix),
            "macro_f1": classification_scores.macro_f1(matrix),
            "roc_auc": self._roc_auc(weights),
            "log_loss": losses[:, 0],
            "brier": losses[:, 1],
            **{
                name: np.abs(weights @ gaps).sum(axis=1) / rows for name, gaps in self._gaps.items()
            },
        }

    def label_figures(self, weights: Floats) -> dict[str, Floats]:
        """Precision, recall, F1 and ROC-AUC against the rest: ``[resamples, labels]`` each."""
        matrix = classification_scores.confusion(self.labels, self.predicted, self.classes, weights)
        return {
            "precision": classification_scores.precision(matrix),
            "recall": classification_scores.recall(matrix),
            "f1": classification_scores.f1(matrix),
            "roc_auc": np.stack(
                [self._label_auc(label, weights) for label in range(self.classes)], axis=1
            ),
        }

    def missing(self, label: int | None, names: Sequence[str]) -> str:
        """Why a ROC-AUC of these rows is undefined: of one label, or of all where it is None."""
        there = sorted({names[index] for index in self.labels.tolist()})
        if len(there) == 1:
            return f"every row has the label {there[0]}"
        absent = [name for index, name in enumerate(names) if label in (None, index)]
        return f"no row has the label {' or '.join(name for name in absent if name not in there)}"

    def _roc_auc(self, weights: Floats) -> Floats:
        if self.classes == 2:
            return self._label_auc(1, weights)
        each = np.stack([self._label_auc(label, weights) for label in range(self.classes)])
        mean: Floats = each.mean(axis=0)
        return mean

    def _label_auc(self, label: int, weights: Floats) -> Floats:
        positive = (self.labels == label).astype(np.float64)
        return classification_scores.roc_auc(positive, self.probabilities[:, label], weights)

    def _binned_gaps(self, binning: Binning) -> Floats:
        gaps = np.zeros((len(self.labels), BINS))
        places = bin_of(self.confidences, bin_edges(self.confidences, binning))
        gaps[np.arange(len(places)), places] = self.confidences - self.hits
        return gaps


@dataclass(frozen=True, slots=True)
class Resampled:
    """Values of figures: of the rows as they are, and of each resample (``[resamples, …]``)."""

    value: dict[str, Floats]
    resamples: dict[str, Floats]

    def figure(self, name: str, reason: str = "", label: int | None = None) -> Figure:
        """One figure with its interval; ``label`` where there is one figure a label."""
        place = () if label is None else (label,)
        value = float(self.value[name][(0, *place)])
        if np.isnan(value):
            return Figure(None, reason=reason)
        return Figure(value, percentile_interval(self.resamples[name][(..., *place)]))

    def fields(self, reason: str) -> dict[str, Any]:
        """Every figure of ``SIGNS`` as it stands in ``evaluation.json``."""
        return {name: self.figure(name, reason).fields() for name in SIGNS}

    def minus(self, other: Resampled) -> Resampled:
        """The differences, resample by resample: both must come of the same bootstrap."""
        return Resampled(
            {name: values - other.value[name] for name, values in self.value.items()},
            {name: values - other.resamples[name] for name, values in self.resamples.items()},
        )


def resampled(figures: Callable[[Floats], dict[str, Floats]], bootstrap: Bootstrap) -> Resampled:
    """Take figures of the rows as they are and of every resample."""
    blocks = [figures(weights) for weights in bootstrap.weights()]
    return Resampled(
        figures(np.ones((1, bootstrap.rows))),
        {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]},
    )
