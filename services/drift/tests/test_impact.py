"""The accuracy of a window without its labels."""

import numpy as np
import pytest

from drift.domain import Estimate, ModelVersion
from drift.impact import Impact, estimate_impact
from drift.signals import (
    CONFIDENCE,
    PROJECTION,
    ConfidenceBin,
    KnownAccuracy,
    SignalReference,
    SignalWindow,
)
from drift.vector_reservoir import UNKNOWN, VectorRows

REVIEWS = ModelVersion("reviews", "1")


def answers(
    rng: np.random.Generator, rows: int, *, hard: float, labelled: bool, vectors: bool = True
) -> tuple[SignalWindow, float]:
    """Texts of two sorts. Confidence is honest among the easy ones, and not among the hard."""
    is_hard = rng.random(rows) < hard
    confidence = rng.uniform(0.6, 1.0, rows).astype(np.float32)
    right = rng.random(rows) < np.where(is_hard, 0.5, confidence)
    window = SignalWindow()
    window.update(rows, {CONFIDENCE: confidence})
    if vectors:
        places = rng.standard_normal((rows, 6))
        places[:, 0] += np.where(is_hard, 3.0, -3.0)
        outcomes = right.astype(np.int8) if labelled else np.full(rows, UNKNOWN, np.int8)
        columns = VectorRows(
            rng.integers(0, 2**63, rows).astype(np.uint64),
            np.clip(np.round(places * 20), -127, 127).astype(np.int8),
            np.full(rows, 0.05, np.float32),
            confidence,
            outcomes,
        )
        window.update(0, {PROJECTION: columns})
    return window, float(right.mean())


def known(rows: int, bins: tuple[ConfidenceBin, ...]) -> KnownAccuracy:
    return KnownAccuracy(rows, Estimate(0.8, 0.78, 0.82), bins)


BINS = (ConfidenceBin(0.6, 0.8, 500, 0.7, 300), ConfidenceBin(0.8, 1.0, 500, 0.9, 450))


def of(reference: SignalReference, window: SignalWindow) -> Impact:
    impact = estimate_impact(reference, window)
    assert impact is not None
    return impact


def test_confidences_are_worth_what_the_reference_says() -> None:
    window = SignalWindow()
    window.update(400, {CONFIDENCE: np.repeat([0.65, 0.95], [300, 100])})
    reference = SignalReference(REVIEWS, "made up", SignalWindow(1000), known(1000, BINS))
    impact = of(reference, window)
    assert not impact.recalibrated
    assert impact.accuracy.value == pytest.approx(0.75 * 0.6 + 0.25 * 0.9)
    assert impact.expected_loss == pytest.approx(0.75 - impact.accuracy.value)
    assert impact.accuracy.lower < impact.accuracy.value < impact.accuracy.upper


def test_shift_to_harder_texts_is_seen_where_the_confidence_is_silent() -> None:
    rng = np.random.default_rng(1)
    reference, accuracy = answers(rng, 2000, hard=0.3, labelled=True)
    window, truth = answers(rng, 1000, hard=0.9, labelled=False)
    impact = of(SignalReference(REVIEWS, "made up", reference), window)
    assert impact.recalibrated
    assert impact.reference_accuracy == pytest.approx(accuracy, abs=0.02)
    assert impact.accuracy.value == pytest.approx(truth, abs=0.05)
    assert impact.expected_loss > 0.08


def test_without_a_shift_nothing_is_lost() -> None:
    rng = np.random.default_rng(2)
    reference, _ = answers(rng, 2000, hard=0.3, labelled=True)
    window, truth = answers(rng, 1000, hard=0.3, labelled=False)
    impact = of(SignalReference(REVIEWS, "made up", reference), window)
    assert impact.accuracy.lower < truth < impact.accuracy.upper
    assert abs(impact.expected_loss) < 0.03


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(20):
        reference, _ = answers(rng, 800, hard=0.2, labelled=True)
        window, truth = answers(rng, 400, hard=0.3, labelled=False)
        accuracy = of(SignalReference(REVIEWS, "made up", reference), window).accuracy
        held += accuracy.lower < truth < accuracy.upper
    assert held >= 16


def test_reference_that_knows_no_truth_estimates_nothing() -> None:
    rng = np.random.default_rng(4)
    reference, _ = answers(rng, 500, hard=0.3, labelled=False)
    window, _ = answers(rng, 500, hard=0.3, labelled=False)
    assert estimate_impact(SignalReference(REVIEWS, "made up", reference), window) is None
    bare = SignalReference(REVIEWS, "made up", SignalWindow(), known(1000, BINS))
    assert estimate_impact(bare, SignalWindow()) is None
