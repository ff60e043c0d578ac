"""Intervals against published examples and against simulation."""

import math

import numpy as np
import pytest

from drift.domain import Estimate
from drift.intervals import (
    RatioSums,
    Sample,
    difference_of,
    ratio_difference,
    t_quantile,
    welch,
    wilson,
)

SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def sample(values: "list[float] | np.ndarray") -> Sample:
    return Sample(len(values), float(np.mean(values)), float(np.var(values, ddof=1)))


def ratio_sums(unknown: np.ndarray, tokens: np.ndarray) -> RatioSums:
    return RatioSums(
        len(tokens),
        float(unknown.sum()),
        float(tokens.sum()),
        float((unknown**2).sum()),
        float((tokens**2).sum()),
        float((unknown * tokens).sum()),
    )


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(9, 2.262157), (10, 2.228139), (29, 2.045230), (120, 1.979930), (1e9, 1.959964)],
)
def test_t_quantile_is_that_of_the_tables(degrees: float, quantile: float) -> None:
    assert t_quantile(degrees) == pytest.approx(quantile, abs=2e-5)


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    # Newcombe, Stat. Med. 17 (1998) 857-872, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(
    successes: int, trials: int, lower: float, upper: float
) -> None:
    interval = wilson(successes, trials)
    assert interval.value == successes / trials
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "lower", "upper"),
    # Newcombe, Stat. Med. 17 (1998) 873-890, table II, method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_difference_of_shares_is_the_published_one(
    first: tuple[int, int], second: tuple[int, int], lower: float, upper: float
) -> None:
    interval = difference_of(wilson(*first), wilson(*second))
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=5e-5)


def test_welch_interval_is_that_of_students_sleep_data() -> None:
    # R: t.test(extra ~ group, data = sleep) gives -3.3654832 0.2054832 at 17.776 degrees.
    interval = welch(sample(SLEEP_1), sample(SLEEP_2))
    assert interval.value == pytest.approx(-1.58)
    assert (interval.lower, interval.upper) == pytest.approx((-3.3654832, 0.2054832), abs=1e-6)


def test_means_of_constants_differ_without_doubt() -> None:
    assert welch(Sample(50, 3.0, 0.0), Sample(60, 2.0, 0.0)) == Estimate(1.0, 1.0, 1.0)


def test_tiny_variances_do_not_break_the_degrees_of_freedom() -> None:
    interval = welch(Sample(50, 1.0, 1e-200), Sample(50, 1.0, 1e-200))
    assert math.isfinite(interval.lower)
    assert interval.lower < 0 < interval.upper


def test_welch_interval_covers_no_difference_95_times_in_100() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(2000):
        interval = welch(sample(random.beta(8, 1, 200)), sample(random.beta(8, 1, 500)))
        covered += interval.lower <= 0 <= interval.upper
    assert 0.935 <= covered / 2000 <= 0.965


def test_ratio_variance_is_that_of_the_residuals() -> None:
    random = np.random.default_rng(3)
    tokens = random.integers(1, 60, 400).astype(float)
    unknown = random.binomial(tokens.astype(int), 0.05).astype(float)
    residuals = unknown - unknown.sum() / tokens.sum() * tokens
    expected = (residuals @ residuals) / 399 / 400 / tokens.mean() ** 2
    assert ratio_sums(unknown, tokens).variance() == pytest.approx(expected)


def test_ratio_sums_grow_row_by_row() -> None:
    grown = RatioSums()
    for unknown, tokens in [(1, 10), (0, 4), (3, 7)]:
        grown = grown.plus(unknown, tokens)
    assert grown == ratio_sums(np.array([1.0, 0, 3]), np.array([10.0, 4, 7]))


def rows(
    random: np.random.Generator, count: int, rate: float, clustering: float
) -> tuple[np.ndarray, np.ndarray]:
    """Texts of 1 to about 100 tokens; with clustering some texts hold most unknown tokens."""
    tokens = 1 + random.poisson(20 * random.gamma(2, 0.5, count))
    rates = random.beta(rate / clustering, (1 - rate) / clustering, count) if clustering else rate
    return random.binomial(tokens, rates).astype(float), tokens.astype(float)


@pytest.mark.parametrize("window_rows", [30, 200, 1000])
@pytest.mark.parametrize(
    ("rate", "clustering"), [(0.002, 0.0), (0.02, 0.0), (0.02, 0.1), (0.1, 0.1)]
)
def test_ratio_interval_covers_the_true_difference(
    rate: float, clustering: float, window_rows: int
) -> None:
    random = np.random.default_rng(17)
    references = [ratio_sums(*rows(random, 4000, rate, clustering)) for _ in range(40)]
    covered = 0
    for turn in range(1200):
        window = ratio_sums(*rows(random, window_rows, rate, clustering))
        interval = ratio_difference(window, references[turn % 40])
        covered += interval.lower <= 0 <= interval.upper
    assert 0.92 <= covered / 1200 <= 0.985


def test_ratio_interval_covers_a_true_shift() -> None:
    random = np.random.default_rng(19)
    covered = 0
    for _ in range(1200):
        window = ratio_sums(*rows(random, 500, 0.05, 0.05))
        reference = ratio_sums(*rows(random, 2000, 0.02, 0.05))
        interval = ratio_difference(window, reference)
        covered += interval.lower <= 0.03 <= interval.upper
    assert 0.92 <= covered / 1200 <= 0.98


def test_window_without_unknown_tokens_is_not_taken_as_proof_of_fewer() -> None:
    window = ratio_sums(np.zeros(30), np.full(30, 20.0))
    random = np.random.default_rng(23)
    reference = ratio_sums(*rows(random, 4000, 0.002, 0.0))
    interval = ratio_difference(window, reference)
    assert interval.lower < 0 < interval.upper


def test_ratio_that_never_varies_has_a_finite_interval() -> None:
    constant = ratio_sums(np.ones(50), np.full(50, 10.0))
    interval = ratio_difference(constant, constant)
    assert interval.value == 0
    assert interval.lower < 0 < interval.upper
