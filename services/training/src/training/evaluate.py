"""Scores of a classifier on labelled rows."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.domain import Example, Prediction


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The predictions on a data set, in its order, and the median time of one (milliseconds)."""

    predictions: tuple[Prediction, ...]
    median_ms: float


def evaluate(
    predict: Callable[[str], Prediction],
    examples: Sequence[Example],
    clock: Callable[[], float],
) -> Evaluation:
    """Predict each text alone. ``clock`` counts seconds; the time includes tokenising."""
    predictions, seconds = [], []
    for example in examples:
        start = clock()
        predictions.append(predict(example.text))
        seconds.append(clock() - start)
    return Evaluation(tuple(predictions), median_ms=1000 * statistics.median(seconds))


def accuracy(predictions: Sequence[Prediction], examples: Sequence[Example]) -> float:
    """The share of rows whose predicted label is the row's own."""
    hits = [p.label == e.label for p, e in zip(predictions, examples, strict=True)]
    return sum(hits) / len(hits)


def macro_f1(predictions: Sequence[Prediction], examples: Sequence[Example]) -> float:
    """The mean over all labels that occur of F1 = 2·TP / (2·TP + FP + FN)."""
    pairs = [(p.label, e.label) for p, e in zip(predictions, examples, strict=True)]
    scores = []
    for label in {label for pair in pairs for label in pair}:
        both = sum(pair == (label, label) for pair in pairs)
        either = sum(pair.count(label) for pair in pairs)
        scores.append(2 * both / either)
    return statistics.fmean(scores)


def agreement(one: Sequence[Prediction], other: Sequence[Prediction]) -> float:
    """The share of rows on which two models predict the same label."""
    same = [a.label == b.label for a, b in zip(one, other, strict=True)]
    return sum(same) / len(same)


def changed_labels(
    predictions: Sequence[Prediction], others: Sequence[Sequence[Prediction]]
) -> int:
    """The number of rows whose label is another one in any of ``others``."""
    return sum(
        any(other.label != prediction.label for other in row)
        for prediction, *row in zip(predictions, *others, strict=True)
    )


def mean_confidence(predictions: Sequence[Prediction]) -> float:
    """The mean probability of the predicted label; above the accuracy, a model is overconfident."""
    return statistics.fmean(prediction.confidence for prediction in predictions)


def labels_sha256(predictions: Sequence[Prediction]) -> str:
    """The digest of the predicted label indices, written as one ASCII string ("0110…").

    Who runs the package on the same rows can tell at once whether every answer is the same.
    """
    text = "".join(str(prediction.label) for prediction in predictions)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
