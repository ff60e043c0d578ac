"""Tests of categories, ratios and vectors keep their level, and see what is there."""

import numpy as np
import pytest

from drift.count_drift import chi_squared_tail, g_test, ratio_test
from drift.domain_classifier import separate
from drift.intervals import RatioSums
from drift.vector_drift import VectorTest


@pytest.mark.parametrize(
    ("statistic", "degrees", "chance"),
    [(3.841459, 1, 0.05), (5.991465, 2, 0.05), (11.0705, 5, 0.05), (29.5883, 10, 0.001), (0, 3, 1)],
)
def test_tail_of_chi_squared_is_that_of_the_tables(
    statistic: float, degrees: int, chance: float
) -> None:
    assert chi_squared_tail(statistic, degrees) == pytest.approx(chance, rel=1e-4)


def test_g_test_keeps_its_level_with_rare_categories() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.6, 0.3, 0.08, 0.01, 0.005, 0.005])
    chances = []
    for _ in range(1000):
        sides = [rng.multinomial(rows, shares) for rows in (300, 900)]
        window, reference = (dict(zip("abcdef", map(int, side), strict=True)) for side in sides)
        chances.append(g_test(window, reference))
    assert np.mean(np.array(chances) <= 0.05) < 0.07
    assert np.mean(np.array(chances) <= 0.01) < 0.02


def test_g_test_has_nothing_to_say_about_one_category() -> None:
    assert g_test({"a": 100}, {"a": 50}) == 1.0
    assert g_test({}, {"a": 50}) == 1.0


def test_category_that_the_reference_never_saw_is_drift() -> None:
    assert g_test({"a": 90, "new": 30}, {"a": 1000}) < 1e-6


@pytest.mark.parametrize("ratio", [0.002, 0.3, 0.998])
def test_ratio_test_keeps_its_level_when_rows_cluster(ratio: float) -> None:
    rng = np.random.default_rng(2)

    def sums(rows: int) -> RatioSums:
        tokens = rng.integers(5, 30, rows)
        own = rng.beta(20 * ratio, 20 * (1 - ratio), rows)
        unknown = rng.binomial(tokens, own).astype(float)
        return RatioSums(
            rows,
            float(unknown.sum()),
            float(tokens.sum()),
            float(unknown @ unknown),
            float(tokens @ tokens),
            float(unknown @ tokens),
        )

    chances = np.array([ratio_test(sums(200), sums(1000)) for _ in range(600)])
    assert np.mean(chances <= 0.05) < 0.085


def test_ratio_test_sees_a_ratio_that_doubles() -> None:
    reference = RatioSums(1000, 100, 20_000, 120, 420_000, 2000)
    window = RatioSums(1000, 300, 20_000, 400, 420_000, 6000)
    assert ratio_test(window, reference) < 1e-6


def test_vector_test_keeps_its_level() -> None:
    rng = np.random.default_rng(3)
    mix = rng.standard_normal((16, 16))
    chances = []
    for _ in range(10):
        test = VectorTest(rng.standard_normal((600, 16)) @ mix)
        chances += [test.compare(rng.standard_normal((200, 16)) @ mix).p_value for _ in range(20)]
    assert np.mean(np.array(chances) <= 0.05) < 0.1


def test_vector_test_sees_a_fifth_of_other_rows() -> None:
    rng = np.random.default_rng(4)
    test = VectorTest(rng.standard_normal((1000, 16)))
    window = rng.standard_normal((500, 16))
    window[:100] += 1.5
    found = test.compare(window)
    assert found.p_value < 0.001
    assert found.separation.auc > 0.55


def test_vector_test_sees_a_change_of_shape_that_no_line_tells() -> None:
    rng = np.random.default_rng(5)
    test = VectorTest(rng.standard_normal((1000, 8)))
    assert test.compare(rng.standard_normal((500, 8)) * 1.5).p_value < 0.001


def test_constant_vectors_are_not_told_apart() -> None:
    found = separate(np.ones((50, 4)), np.ones((80, 4)))
    assert found.auc == 0.5
    assert found.p_value == 0.5
    assert VectorTest(np.ones((80, 4))).compare(np.ones((50, 4))).p_value == 1.0
