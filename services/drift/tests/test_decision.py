"""Verdicts about windows."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift.decision import Decider
from drift.domain import Estimate, ModelVersion
from drift.signals import (
    ACCURACY,
    DUPLICATES,
    LABEL,
    LATENCY,
    PROJECTION,
    UNKNOWN_TOKEN_RATE,
    CategoryColumn,
    KnownAccuracy,
    RatioColumn,
    SignalReference,
    SignalWindow,
    feature,
)
from drift.vector_reservoir import UNKNOWN, VectorRows
from drift.verdict import State, Verdict

REVIEWS = ModelVersion("reviews", "1")
SIZE, FLAG, FLAT = feature("size"), feature("flag"), feature("flat")


def rows_of(rng: np.random.Generator, count: int, *, shift: float = 0.0) -> SignalWindow:
    """A window with a signal of each kind; `shift` moves all of them."""
    window = SignalWindow()
    tokens = rng.integers(5, 40, count).astype(float)
    vectors = rng.standard_normal((count, 8)) + shift
    window.update(
        count,
        {
            SIZE: rng.standard_normal(count) + shift,
            FLAG: (rng.random(count) < 0.2 + shift / 2).astype(float),
            FLAT: np.full(count, 3.0 + shift),
            LABEL: CategoryColumn(
                rng.choice(["no", "yes"], count, p=[0.4 - shift / 4, 0.6 + shift / 4])
            ),
            UNKNOWN_TOKEN_RATE: RatioColumn(
                rng.binomial(tokens.astype(int), 0.01 + shift / 50).astype(float), tokens
            ),
            DUPLICATES: rng.integers(0, 2**63, count).astype(np.uint64),
            PROJECTION: VectorRows(
                rng.integers(0, 2**63, count).astype(np.uint64),
                np.clip(np.round(vectors * 25), -127, 127).astype(np.int8),
                np.full(count, 0.04, np.float32),
                np.full(count, np.nan, np.float32),
                np.full(count, UNKNOWN, np.int8),
            ),
        },
    )
    return window


@pytest.fixture(scope="module")
def decider() -> Decider:
    rng = np.random.default_rng(1)
    return Decider(SignalReference(REVIEWS, "made up", rows_of(rng, 4000)))


def states(verdicts: tuple[Verdict, ...]) -> dict[str, State]:
    return {verdict.signal.name: verdict.state for verdict in verdicts}


def test_window_of_the_same_things_has_no_drift_and_a_constant(decider: Decider) -> None:
    found = states(decider.decide(REVIEWS, rows_of(np.random.default_rng(2), 500)))
    assert found.pop("feature:flat") is State.CONSTANT
    assert set(found.values()) == {State.NO_DRIFT}


def test_shift_is_found_in_every_kind_of_signal(decider: Decider) -> None:
    verdicts = decider.decide(REVIEWS, rows_of(np.random.default_rng(3), 2000, shift=0.5))
    found = states(verdicts)
    assert found.pop("duplicate_rate") is State.NO_DRIFT
    assert set(found.values()) == {State.DRIFT}


def test_window_in_which_everybody_sent_the_same_text_has_drifted(decider: Decider) -> None:
    window = SignalWindow()
    window.update(1000, {DUPLICATES: np.full(1000, 7, np.uint64)})
    (verdict,) = (v for v in decider.decide(REVIEWS, window) if v.signal == DUPLICATES)
    assert verdict.state is State.DRIFT
    assert verdict.finding is not None
    assert verdict.finding.effect.value > 0.9


def test_verdict_tells_effect_interval_chance_and_what_it_would_have_seen(decider: Decider) -> None:
    verdicts = decider.decide(REVIEWS, rows_of(np.random.default_rng(4), 1000, shift=0.5))
    finding = next(v.finding for v in verdicts if v.signal == SIZE)
    assert finding is not None
    assert finding.effect.lower < 0.5 < finding.effect.upper
    assert finding.p_value < 0.001
    assert 0.1 < finding.detectable < 0.2


def test_few_rows_are_not_enough_and_no_rows_neither(decider: Decider) -> None:
    for window in (SignalWindow(), rows_of(np.random.default_rng(5), 1)):
        assert set(states(decider.decide(REVIEWS, window)).values()) == {State.NOT_ENOUGH_DATA}


def test_reference_of_another_version_is_not_compared(decider: Decider) -> None:
    window = rows_of(np.random.default_rng(6), 500, shift=1.0)
    found = states(decider.decide(ModelVersion("reviews", "2"), window))
    assert set(found.values()) == {State.REFERENCE_MISMATCH}


def test_signal_that_the_reference_lacks_says_so(decider: Decider) -> None:
    window = rows_of(np.random.default_rng(7), 500)
    window.update(0, {LATENCY: np.full(500, 4.0)})
    assert states(decider.decide(REVIEWS, window))["inference_ms"] is State.REFERENCE_MISSING


def test_feedback_is_held_against_the_accuracy_that_the_reference_knows() -> None:
    known = KnownAccuracy(2000, Estimate(0.9, 0.88, 0.92), ())
    reference = SignalReference(REVIEWS, "made up", SignalWindow(2000), known)
    window = SignalWindow()
    right = np.repeat([1.0, 0.0], [240, 60])
    window.update(300, {ACCURACY: RatioColumn(right, np.ones(300))})
    (verdict,) = Decider(reference).decide(REVIEWS, window)
    assert verdict.state is State.DRIFT
    assert verdict.finding is not None
    assert verdict.finding.effect.value == pytest.approx(-0.1)


def test_order_of_merging_does_not_matter(decider: Decider) -> None:
    parts = [rows_of(np.random.default_rng(seed), 40) for seed in range(6)]
    forwards, backwards = SignalWindow(), SignalWindow()
    for part in parts:
        forwards.merge(part)
    for part in reversed(parts):
        backwards.merge(part)
    ours, theirs = (decider.decide(REVIEWS, window) for window in (forwards, backwards))
    for one, other in zip(ours, theirs, strict=True):
        assert one.state is other.state
        if one.finding is not None and other.finding is not None:
            assert one.finding.p_value == pytest.approx(other.finding.p_value, abs=1e-9)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    reference=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    window=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
)
def test_whatever_numbers_come_there_is_a_verdict(
    reference: list[float], window: list[float]
) -> None:
    ours, theirs = SignalWindow(), SignalWindow()
    ours.update(len(window), {SIZE: np.array(window)})
    theirs.update(len(reference), {SIZE: np.array(reference)})
    decider = Decider(SignalReference(REVIEWS, "made up", theirs), minimum_rows=10)
    for verdict in decider.decide(REVIEWS, ours):
        if verdict.finding is not None:
            assert 0 < verdict.finding.p_value <= 1
            assert np.isfinite(verdict.finding.effect.value)


def draws(kind: str) -> Callable[[np.random.Generator, int], np.ndarray]:
    made: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
        "normal": lambda rng, count: rng.standard_normal(count),
        "heavy": lambda rng, count: np.exp(rng.standard_normal(count) * 1.5),
        "tied": lambda rng, count: np.round(rng.standard_normal(count)),
    }
    return made[kind]


@pytest.mark.parametrize("kind", ["normal", "heavy", "tied"])
def test_p_values_without_drift_are_uniform(kind: str) -> None:
    draw, rng = draws(kind), np.random.default_rng(8)
    chances = []
    for _ in range(8):
        reference = SignalWindow()
        reference.update(2000, {SIZE: draw(rng, 2000)})
        decider = Decider(SignalReference(REVIEWS, "made up", reference))
        for _ in range(30):
            window = SignalWindow()
            window.update(200, {SIZE: draw(rng, 200)})
            (verdict,) = decider.decide(REVIEWS, window)
            assert verdict.finding is not None
            chances.append(verdict.finding.p_value)
    seen = np.sort(chances)
    gap = np.arange(1, len(seen) + 1) / len(seen) - seen
    # One-sided, at 0.1 %: p-values may be larger than uniform, which ties make them.
    assert gap.max() < 1.86 / np.sqrt(len(seen))
    assert -gap.min() < 0.2
