"""What drift costs: the accuracy of a window, estimated without its labels."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from drift.domain import Estimate
from drift.domain_classifier import Floats
from drift.signals import CONFIDENCE, PROJECTION, KnownAccuracy, SignalReference, SignalWindow
from drift.vector_reservoir import RIGHT, UNKNOWN, VectorRows

_DRAWS = 200
_STEPS = 12
_PENALTY = 100.0
"""On standardised columns: what 66 of them say of one reference must hold in the next window. From
here to 500 estimates for other kinds of texts are as good; below they are up to a third worse."""
_INTERCEPT_PENALTY = 1e-6
_LARGEST_LOG_ODDS = 15.0
_FEWEST_OUTCOMES = 50
_SEED = 20_260_305
_MOST_KEPT = 20
"""Regressions of references, a hundred KB each; to fit one costs as much as all tests together."""


@dataclass(frozen=True, slots=True)
class Impact:
    """Accuracy of a window's predictions beside that of the reference."""

    accuracy: Estimate
    reference_accuracy: float
    recalibrated: bool
    """Whether more than the confidence was asked: what kind of row it is of."""

    @property
    def expected_loss(self) -> float:
        """Accuracy that is lost; below 0 if some was won. This, not a distance, is severity."""
        return self.reference_accuracy - self.accuracy.value


def estimate_impact(reference: SignalReference, window: SignalWindow) -> Impact | None:
    """The accuracy that the confidences of a window speak for.

    A confidence is worth what the reference's right and wrong answers say. With vectors on both
    sides a regression on confidence and vector says which answers are right, so that a confidence
    is worth what it is worth among such rows: in kinds of rows that the reference hardly had, too.
    Rows of the reference that are weighted to look like the window's (by a domain classifier) are
    too few then: that missed by more than twice as much.

    None where the reference does not know which of its answers were right, or the window has no
    confidences. One that was made of windows without labels has another to ask: both sides are
    estimated by that one then, and their errors add up.
    """
    if reference.labelled is not None:
        return _change(reference.labelled, reference.window, window)
    ours, theirs = window.vectors(PROJECTION), reference.window.vectors(PROJECTION)
    if ours is not None and theirs is not None and ours.dimensions == theirs.dimensions:
        answered = np.isfinite(ours.sample.confidences)
        if min(_is_known(theirs.sample).sum(), answered.sum()) >= _FEWEST_OUTCOMES:
            return _regressed(theirs.sample, ours.sample, answered)
    confidences = window.number(CONFIDENCE)
    if reference.known is None or confidences is None or not reference.known.bins:
        return None
    values, weights = confidences.weighted_values()
    return _binned(reference.known, values, weights)


def _change(labelled: SignalReference, before: SignalWindow, now: SignalWindow) -> Impact | None:
    then, later = estimate_impact(labelled, before), estimate_impact(labelled, now)
    if then is None or later is None:
        return None
    known = then.accuracy
    found = later.accuracy
    lower = math.hypot(found.value - found.lower, known.upper - known.value)
    upper = math.hypot(found.upper - found.value, known.value - known.lower)
    interval = Estimate(found.value, max(0.0, found.value - lower), min(1.0, found.value + upper))
    return Impact(interval, known.value, later.recalibrated)


def _binned(known: KnownAccuracy, values: Floats, weights: np.ndarray) -> Impact:
    """Each confidence counts as much as its bin of the reference was right."""
    edges = np.array([part.high for part in known.bins[:-1]])
    share = np.bincount(np.searchsorted(edges, values, "left"), weights, minlength=len(known.bins))
    share = share / share.sum()
    rows = np.array([part.rows for part in known.bins], np.float64)
    right = np.array([part.right for part in known.bins], np.float64)
    rng = np.random.default_rng(_SEED)
    # Jeffreys' prior: a bin that was always right so far may be wrong the next time.
    drawn = rng.beta(right + 0.5, rows - right + 0.5, size=(_DRAWS, len(rows))) @ share
    value = float(right / rows @ share)
    interval = _around(value, float(drawn.var()), int(weights.sum()))
    return Impact(interval, float(right.sum() / rows.sum()), False)


def _regressed(reference: VectorRows, window: VectorRows, answered: np.ndarray) -> Impact:
    found = _regression_on(reference)
    asked = found.scale.design(_columns(window)[answered])
    worth = _chances(asked, found.fit.solution)
    slope = (worth * (1 - worth)) @ asked / len(asked)
    left_open = float(slope @ found.fit.covariance @ slope)
    return Impact(_around(float(worth.mean()), left_open, len(asked)), found.right, True)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Logistic regression of being right."""

    solution: Floats
    covariance: Floats
    """Huber's sandwich."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Of a reference's columns."""

    centre: Floats
    spread: Floats

    def design(self, columns: Floats) -> Floats:
        """Standardised, with an intercept."""
        scaled = (columns - self.centre) / self.spread
        return np.column_stack([scaled, np.ones(len(scaled))])


@dataclass(frozen=True, slots=True)
class _Regression:
    """What a reference teaches."""

    scale: _Scale
    fit: _Fit
    right: float
    """Share of its answers."""


@lru_cache(maxsize=_MOST_KEPT)
def _regression_on(reference: VectorRows) -> _Regression:
    known = _is_known(reference)
    right = (reference.outcomes[known] == RIGHT).astype(np.float64)
    columns = _columns(reference)[known]
    spread = columns.std(axis=0)
    scale = _Scale(columns.mean(axis=0), np.where(spread > 0, spread, 1.0))
    return _Regression(scale, _fit(scale.design(columns), right), float(right.mean()))


def _is_known(rows: VectorRows) -> np.ndarray:
    """Of which rows it is known whether the answer was right."""
    return np.asarray((rows.outcomes != UNKNOWN) & np.isfinite(rows.confidences))


def _fit(design: Floats, right: Floats) -> _Fit:
    """By Newton's method with a ridge penalty."""
    penalty = np.full(design.shape[1], _PENALTY)
    penalty[-1] = _INTERCEPT_PENALTY
    solution = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chances = _chances(design, solution)
        gradient = design.T @ (right - chances) - penalty * solution
        solution = solution + np.linalg.solve(_curvature(design, chances, penalty), gradient)
    chances = _chances(design, solution)
    inverse = np.linalg.inv(_curvature(design, chances, penalty))
    scores = design * (right - chances)[:, None]
    return _Fit(solution, inverse @ (scores.T @ scores) @ inverse)


def _columns(rows: VectorRows) -> Floats:
    """[rows, 2 + dimensions] What a row is asked for: its confidence, and what kind it is of."""
    logits = _logit(rows.confidences)
    return np.column_stack([logits, logits**2, rows.vectors().astype(np.float64)])


def _curvature(design: Floats, chances: Floats, penalty: Floats) -> Floats:
    return np.asarray((design.T * (chances * (1 - chances))) @ design + np.diag(penalty))


def _chances(design: Floats, solution: Floats) -> Floats:
    odds = np.clip(design @ solution, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    return np.asarray(1 / (1 + np.exp(-odds)))


def _logit(confidences: np.ndarray) -> Floats:
    bounded = np.clip(confidences.astype(np.float64), 1e-4, 1 - 1e-4)
    return np.asarray(np.log(bounded / (1 - bounded)))


def _around(value: float, left_open: float, rows: int) -> Estimate:
    """95 % interval: the variance that the reference leaves open, and the window's own chance."""
    error = float(np.sqrt(left_open + value * (1 - value) / max(1, rows)))
    return Estimate(value, max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error))
