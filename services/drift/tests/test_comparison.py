"""Windows beside references."""

from typing import Any

import pytest

from drift.category_counts import CategoryCounts
from drift.comparison import compare
from drift.domain import CategoryComparison, NumberComparison, RatioComparison, Signal
from drift.signals import LABEL, SignalWindow


def by_name(reference: SignalWindow, window: SignalWindow) -> dict[str, Signal]:
    return {signal.name: signal for signal in compare(reference, window, minimum_rows=30)}


def test_signals_of_both_sides_are_measured(world: Any) -> None:
    signals = by_name(world.observed(500), world.observed(100))
    assert {"input_tokens", "confidence", "unknown_token_rate", "label"} <= set(signals)
    assert all(signal.measured for signal in signals.values())


@pytest.mark.parametrize(("reference_rows", "window_rows"), [(500, 29), (29, 500), (500, 0)])
def test_too_few_rows_on_a_side_give_summaries_without_statistics(
    world: Any, reference_rows: int, window_rows: int
) -> None:
    signals = by_name(world.observed(reference_rows), world.observed(window_rows))
    for signal in signals.values():
        assert not signal.measured
        assert not signal.statistics()
    number = signals["confidence"].comparison
    assert isinstance(number, NumberComparison)
    assert (number.reference.rows, number.window.rows) == (reference_rows, window_rows)
    assert number.mean_difference is None
    ratio = signals["unknown_token_rate"].comparison
    assert isinstance(ratio, RatioComparison)
    assert ratio.difference is None
    label = signals["label"].comparison
    assert isinstance(label, CategoryComparison)
    assert label.share_differences is None


def test_longer_texts_show_in_the_length_and_nowhere_else(world: Any) -> None:
    signals = by_name(world.observed(4000), world.observed(1000, extra_tokens=10))
    length = signals["input_tokens"].comparison
    assert isinstance(length, NumberComparison)
    assert length.mean_difference is not None
    assert length.mean_difference.lower < 10 < length.mean_difference.upper
    assert (length.ks_distance or 0) > 0.7
    confidence = signals["confidence"].comparison
    assert isinstance(confidence, NumberComparison)
    assert (confidence.ks_distance or 0) < 0.07


def test_shift_of_the_class_mix_is_measured_with_its_sign(world: Any) -> None:
    signals = by_name(world.observed(4000), world.observed(1000, negative=0.7))
    label = signals["label"].comparison
    assert isinstance(label, CategoryComparison)
    assert label.total_variation == pytest.approx(0.3, abs=0.05)
    differences = label.share_differences or {}
    assert differences["negative"].lower < 0.3 < differences["negative"].upper
    assert differences["positive"].value == pytest.approx(-differences["negative"].value)


def test_class_that_the_reference_never_saw_is_compared_with_0(world: Any) -> None:
    reference, window = world.observed(100), world.observed(100)
    window.signals[LABEL] = CategoryCounts({"neutral": 40, "positive": 60})
    label = by_name(reference, window)["label"].comparison
    assert isinstance(label, CategoryComparison)
    assert (label.share_differences or {})["neutral"].value == pytest.approx(0.4)
    shares = [reference.category(LABEL).counts[name] / 100 for name in ("negative", "positive")]
    expected = (0.4 + abs(0.6 - shares[1]) + shares[0]) / 2
    assert label.total_variation == pytest.approx(expected)


def test_texts_without_any_token_leave_the_ratio_unmeasured(world: Any) -> None:
    window = world.observed(50, text_tokens=0)
    signals = by_name(world.observed(100), window)
    assert not signals["unknown_token_rate"].measured
    assert signals["input_tokens"].measured


def test_intervals_without_drift_hold_0_about_95_times_in_100(world: Any) -> None:
    reference = world.observed(5000)
    held: dict[str, int] = {}
    turns = 400
    for _ in range(turns):
        signals = by_name(reference, world.observed(150))
        estimates = {
            "tokens": signals["input_tokens"].comparison.mean_difference,
            "confidence": signals["confidence"].comparison.mean_difference,
            "unknown": signals["unknown_token_rate"].comparison.difference,
            "negative": signals["label"].comparison.share_differences["negative"],
        }
        for name, estimate in estimates.items():
            held[name] = held.get(name, 0) + (estimate.lower <= 0 <= estimate.upper)
    assert len(held) == 4
    for name, count in held.items():
        # 95 % of 400 have a standard deviation of 1.1 %.
        assert 0.92 <= count / turns <= 0.985, name
