from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.resampling import (
    Bootstrap,
    mcnemar_p,
    percentile_interval,
    wilson_interval,
)


def drawn(bootstrap: Bootstrap) -> np.ndarray:
    return np.concatenate(list(bootstrap.weights()))


def test_every_resample_has_as_many_rows_of_each_source() -> None:
    weights = drawn(Bootstrap(["a", "b", "a", "a", "b"], resamples=50, seed=1))

    assert weights.shape == (50, 5)
    assert set(weights[:, [0, 2, 3]].sum(axis=1)) == {3}
    assert set(weights[:, [1, 4]].sum(axis=1)) == {2}


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    sources = ["a"] * 40

    assert (drawn(Bootstrap(sources, 30, 1)) == drawn(Bootstrap(sources, 30, 1))).all()
    assert (drawn(Bootstrap(sources, 30, 1)) != drawn(Bootstrap(sources, 30, 2))).any()


def test_blocks_are_bounded_and_hold_all_resamples() -> None:
    bootstrap = Bootstrap(["a"] * 30_000, resamples=150, seed=1)
    sizes = [len(block) for block in bootstrap.weights()]

    assert sum(sizes) == 150
    assert max(sizes) == 66


def test_the_interval_of_a_share_is_the_known_one() -> None:
    hits = (np.arange(1000) < 900).astype(float)
    shares = drawn(Bootstrap(["a"] * 1000, 2000, 7)) @ hits / 1000

    found = percentile_interval(shares)

    assert found is not None
    error = 1.96 * math.sqrt(0.9 * 0.1 / 1000)
    assert found.low == pytest.approx(0.9 - error, abs=0.003)
    assert found.high == pytest.approx(0.9 + error, abs=0.003)


def test_resamples_without_the_figure_do_not_count() -> None:
    found = percentile_interval(np.array([np.nan, 1.0, 1.0, np.nan]))

    assert found is not None
    assert (found.low, found.high) == (1, 1)
    assert percentile_interval(np.array([np.nan])) is None


def test_the_wilson_interval_is_that_of_the_paper() -> None:
    # Newcombe 1998, table I: 81 of 263.
    found = wilson_interval(81, 263)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@settings(max_examples=50)
@given(st.integers(1, 500), st.data())
def test_a_wilson_interval_holds_its_share_and_is_never_a_point(
    rows: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, rows))
    found = wilson_interval(hits, rows)

    assert found is not None
    assert 0 <= found.low <= hits / rows + 1e-12
    assert hits / rows - 1e-12 <= found.high <= 1
    assert found.high > found.low


def test_no_rows_have_no_interval() -> None:
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (0, 10, 2 / 1024)],
)
def test_mcnemar_counts_coin_flips(one: int, other: int, p: float) -> None:
    assert mcnemar_p(one, other) == pytest.approx(p)


def test_mcnemar_bears_many_rows() -> None:
    # The normal approximation: z = 200 / sqrt(10000), with the correction of continuity.
    assert mcnemar_p(4900, 5100) == pytest.approx(0.0466, abs=2e-4)
