"""Sketches and moments against exact computation."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.domain import NumberSummary
from drift.number_distribution import Moments, NumberDistribution

NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=40)


def distribution(values: "np.ndarray | list[float]") -> NumberDistribution:
    made = NumberDistribution.empty()
    for value in values:
        made.add(float(value))
    return made


def moments(values: list[float]) -> Moments:
    return distribution(values).moments


def exact_ks(first: np.ndarray, second: np.ndarray) -> float:
    points = np.union1d(first, second)
    shares = [
        np.searchsorted(np.sort(values), points, side="right") / len(values)
        for values in (first, second)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


@given(NUMBERS, NUMBERS)
def test_moments_of_two_parts_are_those_of_the_whole(
    first: list[float], second: list[float]
) -> None:
    merged, whole = moments(first).plus(moments(second)), moments(first + second)
    assert merged.rows == whole.rows
    assert (merged.minimum, merged.maximum) == (whole.minimum, whole.maximum)
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.variance == pytest.approx(whole.variance, rel=1e-9, abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_moments_are_those_of_the_statistics_module(values: list[float]) -> None:
    found = moments(values)
    assert found.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    assert found.variance == pytest.approx(statistics.variance(values), rel=1e-9, abs=1e-3)


def test_variance_survives_a_large_offset() -> None:
    values = [1e9 + value for value in (4.0, 7.0, 13.0, 16.0)]
    assert moments(values).variance == pytest.approx(30.0)


@given(NUMBERS, NUMBERS)
def test_distribution_that_was_stored_in_between_goes_on(
    first: list[float], second: list[float]
) -> None:
    halfway = distribution(first)
    restored = NumberDistribution.restore(halfway.moments, halfway.sketch_bytes())
    for value in second:
        restored.add(value)
    assert restored.moments == distribution(first + second).moments
    # Sketches are exact while they are small.
    assert restored.summary().quantiles == distribution(first + second).summary().quantiles


def test_small_samples_give_the_exact_ks_distance() -> None:
    first, second = np.array([1.0, 2, 2, 3]), np.array([2.0, 3, 3, 4, 5])
    assert distribution(first).ks_distance(distribution(second)) == pytest.approx(0.55)
    assert exact_ks(first, second) == pytest.approx(0.55)


def test_ks_distance_of_a_sample_to_itself_is_0() -> None:
    values = np.random.default_rng(1).normal(size=200)
    assert distribution(values).ks_distance(distribution(values)) == 0


def test_ks_distance_of_separate_samples_is_1() -> None:
    assert distribution([1, 2, 3]).ks_distance(distribution([4, 5])) == 1


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("discrete", [False, True])
def test_ks_distance_of_large_samples_is_right_within_the_sketches_error(
    shift: float, discrete: bool
) -> None:
    random = np.random.default_rng(5)
    first = random.normal(20, 6, 1000).astype(np.float32)
    second = random.normal(20 + 6 * shift, 6, 20_000).astype(np.float32)
    if discrete:
        first, second = first.round(), second.round()
    found = distribution(first).ks_distance(distribution(second))
    # Twice the 0.7 % of one rank, and a little for the one sketch in a hundred.
    assert found == pytest.approx(exact_ks(first, second), abs=0.02)


def test_summary_is_that_of_the_values() -> None:
    summary = distribution(np.arange(1, 101)).summary()
    assert summary == NumberSummary(
        rows=100,
        mean=pytest.approx(50.5),
        standard_deviation=pytest.approx(statistics.stdev(range(1, 101))),
        minimum=1,
        maximum=100,
        quantiles=(5, 25, 50, 75, 95),
    )


def test_summary_of_nothing_is_all_zeros() -> None:
    summary = NumberDistribution.empty().summary()
    assert summary.rows == 0
    assert all(math.isfinite(value) for value in (summary.mean, *summary.quantiles))


def test_bytes_that_are_no_sketch_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        NumberDistribution.restore(Moments(), b"nonsense")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 20])
def test_cut_sketches_are_refused(length: int) -> None:
    whole = distribution(range(100)).sketch_bytes()
    with pytest.raises(ValueError, match="cannot be read"):
        NumberDistribution.restore(Moments(100), whole[:length])


def test_sketch_of_other_rows_than_the_moments_is_refused() -> None:
    with pytest.raises(ValueError, match="other rows"):
        NumberDistribution.restore(Moments(3), distribution([1, 2]).sketch_bytes())
