"""Which side does a row come from? Logistic regression on vectors, and what its answers are worth.

In numpy, which the service has anyway: a penalised fit of 64 weights is one page, and scikit-learn
would bring a hundred megabytes for it.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEPS = 6
_SMALLEST_STEP = 1e-6
"""Of a weight, after which Newton's method has arrived: the next one would be its square."""
_PENALTY = 2.0
"""On standardised columns; keeps a small window from being learnt by heart."""
_LARGEST_LOG_ODDS = 8.0


@dataclass(frozen=True, slots=True)
class LogisticRegression:
    """Log odds that a row is of the window, were both sides as large."""

    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, window: Floats, reference: Floats) -> Self:
        """By Newton's method, each side weighing half; rows are vectors."""
        rows = np.concatenate([window, reference])
        design = np.column_stack([rows, np.ones(len(rows))])
        target = np.repeat([1.0, 0.0], [len(window), len(reference)])
        half = len(rows) / 2
        weight = np.where(target > 0, half / len(window), half / len(reference))
        penalty = np.full(design.shape[1], _PENALTY)
        penalty[-1] = 1e-6
        solution = np.zeros(design.shape[1])
        for _ in range(_STEPS):
            odds = np.clip(design @ solution, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
            probability = 1 / (1 + np.exp(-odds))
            curvature = weight * probability * (1 - probability)
            gradient = design.T @ (weight * (target - probability)) - penalty * solution
            hessian = (design.T * curvature) @ design + np.diag(penalty)
            step = np.linalg.solve(hessian, gradient)
            solution = solution + step
            if np.abs(step).max() < _SMALLEST_STEP:
                break
        return cls(solution[:-1], float(solution[-1]))

    def log_odds(self, rows: Floats) -> Floats:
        """Of each row, bounded."""
        odds = rows @ self.weights + self.intercept
        return np.asarray(np.clip(odds, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS))


@dataclass(frozen=True, slots=True)
class Separation:
    """How well windows and reference can be told apart by rows that were not learnt from."""

    auc: float
    """Chance that a row of the window is ranked above one of the reference; 0.5 is no drift."""
    error: float
    """Standard error of it."""
    p_value: float
    window_odds: Floats
    """[window rows] Log odds of each row by the fit that did not see it."""
    reference_odds: Floats


def separate(window: Floats, reference: Floats) -> Separation:
    """Fits on one half of the rows, ranks the other, and the other way round.

    Each half is an exact Mann-Whitney test given the fit. The two agree almost perfectly where
    there is no drift (each ranks by the other's chance difference), so they are averaged and count
    as one. Both sides have at least 4 rows, whose order says nothing.
    """
    centre, spread = reference.mean(axis=0), reference.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    window, reference = (window - centre) / spread, (reference - centre) / spread
    window_odds, reference_odds = np.empty(len(window)), np.empty(len(reference))
    areas, scores = [], []
    for half in (0, 1):
        fit = LogisticRegression.fit(window[1 - half :: 2], reference[1 - half :: 2])
        ours, theirs = fit.log_odds(window[half::2]), fit.log_odds(reference[half::2])
        window_odds[half::2], reference_odds[half::2] = ours, theirs
        area, score = _mann_whitney(ours, theirs)
        areas.append(area)
        scores.append(score)
    score = sum(scores) / 2
    auc = sum(areas) / 2
    error = math.sqrt(_hanley_mcneil(auc, len(window), len(reference)))
    return Separation(auc, error, math.erfc(score / math.sqrt(2)) / 2, window_odds, reference_odds)


def _mann_whitney(ours: Floats, theirs: Floats) -> tuple[float, float]:
    """Area under the curve, and its deviation from a half in standard errors; ties count half."""
    ordered = np.sort(theirs)
    wins = np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right")
    area = float(wins.mean()) / (2 * len(theirs))
    total = len(ours) + len(theirs)
    _, ties = np.unique(np.concatenate([ours, theirs]), return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (total**3 - total)
    variance = (total + 1) / (12 * len(ours) * len(theirs)) * (1 - tied)
    return area, (area - 0.5) / math.sqrt(variance) if variance > 0 else 0.0


def _hanley_mcneil(auc: float, window_rows: int, reference_rows: int) -> float:
    """Variance of an area under the curve.

    Source: Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 143
    (1982).
    """
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc)
    spread += (window_rows - 1) * (first - auc**2) + (reference_rows - 1) * (second - auc**2)
    return max(0.0, spread) / (window_rows * reference_rows)
