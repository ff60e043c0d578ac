"""What a window holds: mergeable, bounded, and undisturbed by bad rows."""

from typing import Any

import numpy as np
import pytest

from drift import signals
from drift.category_counts import MOST_CATEGORIES, OTHER, CategoryCounts
from drift.columns import feedback_columns, prediction_columns
from drift.comparison import compare
from drift.distinct_inputs import DistinctInputs
from drift.domain import FeedbackFacts, ModelVersion, Projection
from drift.signal_records import SIGNALS, records_of
from drift.signals import CategoryColumn, RatioColumn, SignalWindow
from drift.state_codec import decode_window, encode_window
from drift.vector_reservoir import CAPACITY, VectorReservoir, VectorRows
from drift.version_state import Window, WindowSize

REVIEWS = ModelVersion("reviews", "1")


def rows(count: int, seed: int = 1, dimensions: int = 8) -> VectorRows:
    random = np.random.default_rng(seed)
    return VectorRows(
        random.integers(0, 2**64, count, np.uint64, endpoint=False),
        random.integers(-127, 128, (count, dimensions)).astype(np.int8),
        np.full(count, 0.5, np.float32),
        np.full(count, 0.9, np.float32),
        np.full(count, -1, np.int8),
    )


def test_windows_merge_to_what_one_of_all_rows_is(world: Any) -> None:
    drawn = [world.prediction(input_sha256=bytes([n % 50] * 32)) for n in range(600)]
    parts = []
    for start in (0, 200, 400):
        part = SignalWindow()
        part.update(200, prediction_columns(drawn[start : start + 200]))
        parts.append(part)
    merged, whole = SignalWindow(), SignalWindow()
    for part in reversed(parts):
        merged.merge(part)
    whole.update(600, prediction_columns(drawn))
    assert merged.rows == whole.rows
    assert merged.signals.keys() == whole.signals.keys()
    assert merged.category(signals.LABEL) == whole.category(signals.LABEL)
    assert merged.ratio(signals.UNKNOWN_TOKEN_RATE) == whole.ratio(signals.UNKNOWN_TOKEN_RATE)
    one, other = merged.number(signals.CONFIDENCE), whole.number(signals.CONFIDENCE)
    assert one is not None
    assert other is not None
    assert one.moments.variance == pytest.approx(other.moments.variance)
    assert one.ks_distance(other) < 0.02
    repeated = merged.distinct()
    assert repeated is not None
    assert repeated.distinct() == 50


def test_common_category_is_kept_though_it_comes_after_many_rare_ones() -> None:
    counts = CategoryCounts()
    counts.update(f"rare {number}" for number in range(5000))
    counts.update(["common"] * 2000)
    assert len(counts.counts) <= MOST_CATEGORIES
    assert counts.rows == 7000
    assert 2000 - 5000 / MOST_CATEGORIES <= counts.counts["common"] <= 2000
    assert counts.by_category()[OTHER] == counts.other > 0


def test_few_categories_are_counted_exactly() -> None:
    counts = CategoryCounts()
    counts.update(["a", "b", "a"])
    assert counts.by_category() == {"a": 2, "b": 1}


def test_duplicates_are_counted_exactly_while_few_and_estimated_when_many() -> None:
    few, many = DistinctInputs(), DistinctInputs()
    few.update(np.array([3, 3, 9, 1], np.uint64))
    assert (few.distinct(), few.duplicate_rate()) == (3, 0.25)
    random = np.random.default_rng(2)
    inputs = random.integers(0, 2**64, 50_000, np.uint64, endpoint=False)
    for part in np.array_split(np.repeat(inputs, 2), 7):
        many.update(part)
    assert many.duplicate_rate() == pytest.approx(0.5, abs=0.03)
    assert many.expected_duplicate_rate(1000) == pytest.approx(0.5 * 1000 / 100_000, abs=0.003)


def test_rarefied_duplicate_rate_is_that_of_windows_drawn_from_the_rows() -> None:
    random = np.random.default_rng(4)
    inputs = random.integers(0, 2**64, 400, np.uint64, endpoint=False)
    drawn = random.choice(inputs, 3000)
    reference = DistinctInputs()
    reference.update(drawn)
    found = []
    for _ in range(200):
        window = DistinctInputs()
        window.update(random.choice(drawn, 500, replace=False))
        found.append(window.duplicate_rate())
    assert reference.expected_duplicate_rate(500) == pytest.approx(np.mean(found), abs=0.01)
    assert reference.expected_duplicate_rate(0) == 0
    assert DistinctInputs().expected_duplicate_rate(10) == 0


def test_sample_of_vectors_is_the_same_in_whatever_order_and_however_often_rows_come() -> None:
    offered = rows(6000)
    forwards, backwards = VectorReservoir.empty(8), VectorReservoir.empty(8)
    forwards.update(offered)
    for part in np.array_split(np.arange(6000)[::-1], 11):
        backwards.update(offered.at(part))
        backwards.update(offered.at(part))
    assert len(forwards.sample) == CAPACITY
    assert (forwards.sample.keys == backwards.sample.keys).all()
    assert (forwards.vectors() == backwards.vectors()).all()
    assert forwards.seen == 6000


def test_vectors_of_other_dimensions_are_not_taken() -> None:
    reservoir = VectorReservoir.empty(8)
    reservoir.update(rows(5))
    reservoir.update(rows(5, dimensions=4))
    assert (len(reservoir.sample), reservoir.seen) == (5, 5)


def test_features_that_are_missing_infinite_or_out_of_range_are_counted(world: Any) -> None:
    drawn = [
        world.prediction(features={"age": age}, out_of_range={"age"} if age > 100 else set())
        for age in (1.0, 2.0, float("nan"), float("inf"), float("-inf"), 1e300, 130.0)
    ]
    window = SignalWindow()
    window.update(len(drawn), prediction_columns(drawn))
    values = window.number(signals.feature("age"))
    assert values is not None
    assert (values.moments.rows, values.moments.maximum) == (3, 130.0)
    missing = window.ratio(signals.missing_rate("age"))
    outside = window.ratio(signals.out_of_range_rate("age"))
    assert missing is not None
    assert outside is not None
    assert (missing.numerator, missing.denominator) == (3, 7)
    assert (outside.numerator, outside.denominator) == (3, 7)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_window_of_almost_no_rows_is_compared_and_kept(world: Any, count: int) -> None:
    window = Window(WindowSize(10))
    window.take([world.prediction(projection=Projection(bytes(4), 0.0)) for _ in range(count)])
    restored = decode_window(encode_window(window))
    assert restored.span() == window.span()
    compared = compare(world.observed(100), restored.observed, 30)
    assert compared
    assert not any(signal.measured for signal in compared)


def test_constant_signals_differ_by_nothing(world: Any) -> None:
    same = {"confidence": 0.75, "label": "positive", "text_tokens": 5, "unknown_tokens": 0}
    compared = compare(world.observed(100, **same), world.observed(50, **same), 30)
    for signal in compared:
        assert set(signal.statistics().values()) <= {0.0}, signal.name


def test_answer_of_a_model_that_does_not_classify_has_its_numbers_alone(world: Any) -> None:
    row = world.prediction(text_tokens=0, label="", confidence=0.0, predicted_values={"price": 3.0})
    window = SignalWindow()
    window.update(1, prediction_columns([row]))
    assert window.number(signals.predicted_value("price")) is not None
    assert window.number(signals.CONFIDENCE) is None
    assert window.category(signals.LABEL) is None


def test_entropy_and_margin_come_from_the_probabilities(world: Any) -> None:
    drawn = [world.prediction(probabilities=shares) for shares in ((0.5, 0.5), (1.0, 0.0), (1.0,))]
    window = SignalWindow()
    window.update(3, prediction_columns(drawn))
    entropy, margin = window.number(signals.ENTROPY), window.number(signals.MARGIN)
    assert entropy is not None
    assert margin is not None
    assert (entropy.moments.rows, entropy.moments.maximum) == (2, pytest.approx(np.log(2)))
    assert (margin.moments.minimum, margin.moments.maximum) == (0, 1)


def test_feedback_gives_accuracy_and_the_gap_of_confidence() -> None:
    feedback = [FeedbackFacts(REVIEWS, agreed, 0.8) for agreed in (True, True, False)]
    window = SignalWindow()
    window.update(0, feedback_columns([*feedback, FeedbackFacts(REVIEWS, True)]))
    accuracy, gap = window.ratio(signals.ACCURACY), window.number(signals.CALIBRATION_GAP)
    assert accuracy is not None
    assert gap is not None
    assert (accuracy.numerator, accuracy.denominator) == (3, 4)
    assert gap.moments.mean == pytest.approx(0.8 - 2 / 3)


def test_window_of_20_signals_and_many_rows_takes_less_than_a_megabyte() -> None:
    random = np.random.default_rng(6)
    window = Window(WindowSize(10**6))
    for start in range(0, 200_000, 50_000):
        columns = {
            signals.feature(f"f{number}"): random.standard_normal(50_000).astype(np.float32)
            for number in range(16)
        }
        window.observed.update(
            50_000,
            {
                **columns,
                signals.UNKNOWN_TOKEN_RATE: RatioColumn(np.ones(50_000), np.ones(50_000)),
                signals.LABEL: CategoryColumn({f"label {start + n}": 1 for n in range(50_000)}),
                signals.DUPLICATES: random.integers(0, 2**63, 50_000).astype(np.uint64),
                signals.PROJECTION: rows(50_000, start, 64),
            },
        )
    assert len(window.observed.signals) == 20
    assert len(SIGNALS.dump_json(records_of(window.observed))) < 1_000_000


def test_column_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="number"):
        SignalWindow().update(1, {signals.CONFIDENCE: CategoryColumn(["a"])})
