"""Whether probabilities can be taken at their word: calibration error and Brier score.

The confidence of a row is the probability of its predicted label. Rows are put in bins of
confidence; in each, the mean confidence should be the share of right answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.probabilities import Floats, Integers

BINS = 15
Binning = Literal["width", "mass"]


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose confidence lies above ``low`` and up to ``high``; means are None without."""

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


def bin_edges(confidences: Floats, binning: Binning = "width", bins: int = BINS) -> Floats:
    """The ``bins + 1`` borders: of equal width over 0 to 1, or with equally many rows between."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    if binning == "mass":
        edges[1:-1] = np.quantile(confidences, edges[1:-1])
    return edges


def bin_of(confidences: Floats, edges: Floats) -> Integers:
    """Each row's bin, from 0. A confidence on a border belongs to the bin below it."""
    places = np.searchsorted(edges, confidences, side="left") - 1
    return np.clip(places, 0, len(edges) - 2).astype(np.int64)


def calibration_error(
    confidences: Floats,
    hits: Floats,
    weights: Floats | None = None,
    binning: Binning = "width",
) -> float:
    """The expected calibration error over 15 bins: the mean over rows of |accuracy - confidence|.

    ``hits`` is 1.0 where the predicted label is the row's own. Naeini et al., "Obtaining Well
    Calibrated Probabilities Using Bayesian Binning", 2015. Few rows bias it upwards: chance alone
    parts accuracy and confidence within a bin.
    """
    weights = np.ones(len(hits)) if weights is None else weights
    gaps = np.bincount(
        bin_of(confidences, bin_edges(confidences, binning)),
        weights=weights * (confidences - hits),
        minlength=BINS,
    )
    return float(np.abs(gaps).sum() / weights.sum())


def reliability(confidences: Floats, hits: Floats, binning: Binning = "width") -> tuple[Bin, ...]:
    """The bins of a reliability diagram, from the lowest confidence to the highest."""
    edges = bin_edges(confidences, binning)
    places = bin_of(confidences, edges)
    rows = np.bincount(places, minlength=BINS)
    sums = [np.bincount(places, weights=of, minlength=BINS) for of in (confidences, hits)]
    return tuple(
        Bin(
            float(edges[place]),
            float(edges[place + 1]),
            int(count),
            *(float(of[place] / count) if count else None for of in sums),
        )
        for place, count in enumerate(rows)
    )


def brier_scores(probabilities: Floats, labels: Integers) -> Floats:
    """Each row's squared distance to the certain right answer, summed over labels: 0 to 2.

    Brier, "Verification of forecasts expressed in terms of probability", 1950. With two labels it
    is twice the score that counts one label only.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    scores: Floats = ((probabilities - truth) ** 2).sum(axis=1)
    return scores
