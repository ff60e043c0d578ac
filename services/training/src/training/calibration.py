"""Temperature scaling: one number that makes a classifier as sure as it is right.

The logits are divided by the temperature before the softmax; predicted labels stay as they are.
The rows that it is fitted on are not the rows that it is judged on: a hash of the text cuts the
held-out rows in two.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.probabilities import Floats, Integers, Logits, log_losses, softmax
from training.reliability import calibration_error

# A best temperature beyond these means that the rows do not determine one: all of them are
# right (the sharpest is the best), or the model knows nothing.
LOWEST, HIGHEST = 0.05, 20.0
# Halvings of that range, on a logarithmic scale: the last one is far below what is kept.
HALVINGS = 40
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class CalibrationScores:
    """Log loss and calibration error before and after the logits are divided by a temperature.

    The error is over 15 bins of equal width; each source of the rows counts the same.
    """

    rows: int
    log_loss_before: float
    log_loss_after: float
    ece_before: float
    ece_after: float


@dataclass(frozen=True, slots=True)
class Temperature(CalibrationScores):
    """A fitted temperature with the scores on the rows that it was fitted on.

    Not ``determined`` when no temperature within the bounds is best; ``value`` is 1 then.
    """

    value: float
    determined: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature that one half of the rows made, and what it is worth on others.

    ``held_out`` judges it on the other half. ``cross_fitted`` judges each half with the
    temperature of the other: twice the rows, for the procedure and not for this one number.
    """

    temperature: Temperature
    held_out: CalibrationScores
    cross_fitted: CalibrationScores


def fit_temperature(logits: Logits, labels: Integers, weights: Floats) -> Temperature:
    """The temperature, to four decimals, with the least weighted log loss.

    ``logits`` is ``[rows, labels]``, ``labels`` and ``weights`` are ``[rows]``. The loss is convex
    in the inverse temperature, so the sign of its slope leads to the best one by halving.
    """
    shares = weights / weights.sum()
    bounds = (1 / HIGHEST, 1 / LOWEST)
    determined = (
        _slope(logits, labels, shares, bounds[0]) < 0 < _slope(logits, labels, shares, bounds[1])
    )
    value = 1.0
    if determined:
        low, high = np.log(bounds)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if _slope(logits, labels, shares, float(np.exp(middle))) < 0:
                low = middle
            else:
                high = middle
        value = round(float(np.exp(-(low + high) / 2)), DECIMALS)
    ones = np.ones(len(labels))
    scores = _scores(logits, labels, weights, ones * value)
    return Temperature(
        rows=scores.rows,
        log_loss_before=scores.log_loss_before,
        log_loss_after=scores.log_loss_after,
        ece_before=scores.ece_before,
        ece_after=scores.ece_after,
        value=value,
        determined=determined,
    )


def calibrate(
    logits: Logits, labels: Integers, texts: Sequence[str], sources: Sequence[str]
) -> Calibration | None:
    """Fit on one half of held-out rows and judge on the other; None when a half has no rows.

    ``logits`` are those of the graph that will serve, without a temperature.
    """
    first = fitting_half(texts)
    if first.all() or not first.any():
        return None
    sides = [
        (logits[half], labels[half], source_weights([sources[index] for index in half.tolist()]))
        for half in (np.flatnonzero(first), np.flatnonzero(~first))
    ]
    one, other = (fit_temperature(*side) for side in sides)
    return Calibration(
        temperature=one,
        held_out=_scores(*sides[1], np.full(len(sides[1][1]), one.value)),
        cross_fitted=_scores(
            logits, labels, source_weights(sources), np.where(first, other.value, one.value)
        ),
    )


def fitting_half(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows a temperature is fitted on: about half, by a hash of the text alone.

    So whoever has the rows can tell later which ones it saw, and a repeated text is on one side.
    """
    digests = (hashlib.sha256(b"calibration\0" + text.encode("utf-8")).digest() for text in texts)
    return np.array([digest[0] % 2 == 0 for digest in digests], dtype=np.bool_)


def source_weights(sources: Sequence[str]) -> Floats:
    """Weights with which each source counts the same, however many rows it has; their mean is 1."""
    counts = Counter(sources)
    return np.array([len(sources) / len(counts) / counts[source] for source in sources])


def _slope(logits: Logits, labels: Integers, shares: Floats, inverse: float) -> float:
    """The slope of the weighted log loss at an inverse temperature."""
    means = (softmax(logits, 1 / inverse) * logits).sum(axis=1)
    return float(shares @ (means - logits[np.arange(len(labels)), labels]))


def _scores(
    logits: Logits, labels: Integers, weights: Floats, temperatures: Floats
) -> CalibrationScores:
    figures = []
    for divisors in (np.ones(len(labels)), temperatures):
        scaled = logits / divisors[:, None]
        probabilities = softmax(scaled)
        hits = (probabilities.argmax(axis=1) == labels).astype(np.float64)
        figures.append(
            (
                float(np.average(log_losses(scaled, labels), weights=weights)),
                calibration_error(probabilities.max(axis=1), hits, weights),
            )
        )
    (loss_before, ece_before), (loss_after, ece_after) = figures
    return CalibrationScores(len(labels), loss_before, loss_after, ece_before, ece_after)
