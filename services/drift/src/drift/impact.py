"""What drift costs: the accuracy of a window, estimated without its labels."""

from dataclasses import dataclass

import numpy as np

from drift.domain import Estimate
from drift.domain_classifier import Floats, separate
from drift.signals import CONFIDENCE, PROJECTION, KnownAccuracy, SignalReference, SignalWindow
from drift.vector_reservoir import RIGHT, UNKNOWN, VectorReservoir

_DRAWS = 200
_LARGEST_WEIGHT = 20.0
_STEPS = 10
_SMALLEST_STEP = 1e-9
_RIDGE = 1.0
"""Pulls the recalibration towards the confidence as it is, with the force of one row."""
_FEWEST_OUTCOMES = 50
_SEED = 20_260_305


@dataclass(frozen=True, slots=True)
class Impact:
    """Accuracy of a window's predictions beside that of the reference."""

    accuracy: Estimate
    reference_accuracy: float
    recalibrated: bool
    """Whether the reference's rows could be weighted to look like the window's."""

    @property
    def expected_loss(self) -> float:
        """Accuracy that is lost; below 0 if some was won. This, not a distance, is severity."""
        return self.reference_accuracy - self.accuracy.value


def estimate_impact(reference: SignalReference, window: SignalWindow) -> Impact | None:
    """The accuracy that the confidences of a window speak for.

    A confidence is worth what the reference's right and wrong answers say. With vectors on both
    sides these answers are weighted by how much each row looks like one of the window (the odds of
    the domain classifier), so that a confidence is worth what it is worth among such texts.
    Source: Sugiyama, Krauledat and Mueller, "Covariate shift adaptation by importance weighted
    cross validation", JMLR 8 (2007).

    None where the reference does not know which of its answers were right, or the window has no
    confidences.
    """
    ours, theirs = window.vectors(PROJECTION), reference.window.vectors(PROJECTION)
    if ours is not None and theirs is not None:
        known = (theirs.sample.outcomes != UNKNOWN) & np.isfinite(theirs.sample.confidences)
        if known.sum() >= _FEWEST_OUTCOMES and len(ours.sample) >= _FEWEST_OUTCOMES:
            return _weighted(theirs, known, ours)
    confidences = window.number(CONFIDENCE)
    if reference.known is None or confidences is None or not reference.known.bins:
        return None
    values, weights = confidences.weighted_values()
    return _binned(reference.known, values, weights)


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


def _weighted(reference: VectorReservoir, known: np.ndarray, window: VectorReservoir) -> Impact:
    right = (reference.sample.outcomes[known] == RIGHT).astype(np.float64)
    logits = _logit(reference.sample.confidences[known])
    answered = np.isfinite(window.sample.confidences)
    ours = _logit(window.sample.confidences[answered])
    separation = separate(
        window.vectors().astype(np.float64), reference.vectors()[known].astype(np.float64)
    )
    weights = np.minimum(np.exp(separation.reference_odds), _LARGEST_WEIGHT)
    weights *= len(weights) / weights.sum()
    calibration = _calibration(logits, right, weights)
    worth = _recalibrated(ours, calibration.solution)
    slope = (worth * (1 - worth)) @ _design(ours) / len(ours)
    left_open = float(slope @ calibration.covariance @ slope)
    return Impact(_around(float(worth.mean()), left_open, len(ours)), float(right.mean()), True)


@dataclass(frozen=True, slots=True)
class _Calibration:
    """Platt's scaling of a confidence: intercept and slope on its logit."""

    solution: Floats
    covariance: Floats
    """Robust to the weights (Huber's sandwich)."""


def _calibration(logits: Floats, right: Floats, weights: Floats) -> _Calibration:
    design, start = _design(logits), np.array([0.0, 1.0])

    def cost(at: Floats) -> float:
        odds = design @ at
        return float(
            weights @ (np.logaddexp(0.0, odds) - right * odds)
            + _RIDGE / 2 * ((at - start) ** 2).sum()
        )

    solution = start
    for _ in range(_STEPS):
        probability = _recalibrated(logits, solution)
        gradient = design.T @ (weights * (right - probability)) - _RIDGE * (solution - start)
        step = np.linalg.solve(_curvature(design, weights, probability), gradient)
        # Newton's step is too long where probabilities are extreme.
        while cost(solution + step) > cost(solution) and np.abs(step).max() > _SMALLEST_STEP:
            step /= 2
        solution = solution + step
    probability = _recalibrated(logits, solution)
    inverse = np.linalg.inv(_curvature(design, weights, probability))
    scores = design * (weights * (right - probability))[:, None]
    return _Calibration(solution, inverse @ (scores.T @ scores) @ inverse)


def _design(logits: Floats) -> Floats:
    return np.column_stack([np.ones(len(logits)), logits])


def _curvature(design: Floats, weights: Floats, probability: Floats) -> Floats:
    weighted = weights * probability * (1 - probability)
    return np.asarray((design.T * weighted) @ design + _RIDGE * np.eye(2))


def _recalibrated(logits: Floats, calibration: Floats) -> Floats:
    odds = np.clip(calibration[0] + calibration[1] * logits, -15, 15)
    return np.asarray(1 / (1 + np.exp(-odds)))


def _logit(confidences: np.ndarray) -> Floats:
    bounded = np.clip(confidences.astype(np.float64), 1e-4, 1 - 1e-4)
    return np.asarray(np.log(bounded / (1 - bounded)))


def _around(value: float, left_open: float, rows: int) -> Estimate:
    """95 % interval: the variance that the reference leaves open, and the window's own chance."""
    error = float(np.sqrt(left_open + value * (1 - value) / max(1, rows)))
    return Estimate(value, max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error))
