from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.reliability import (
    BINS,
    bin_edges,
    bin_of,
    brier_scores,
    calibration_error,
    reliability,
)


def test_the_error_is_the_gap_in_each_bin_by_its_rows() -> None:
    # 0.62 and 0.66 share the bin from 0.6 to 0.667: right once, so |0.64 - 0.5|; 0.9 is alone.
    confidences, hits = np.array([0.62, 0.66, 0.9]), np.array([1.0, 0.0, 1.0])

    assert calibration_error(confidences, hits) == pytest.approx((2 * 0.14 + 0.1) / 3)


def test_bins_of_equal_mass_hold_equally_many_rows() -> None:
    confidences = np.random.default_rng(0).beta(8, 1, 15 * 40)
    diagram = reliability(confidences, np.ones(600), "mass")

    assert {found.rows for found in diagram} == {40}
    assert diagram[0].low == 0
    assert diagram[-1].high == 1


def test_a_border_belongs_to_the_bin_below() -> None:
    places = bin_of(np.array([0.0, 0.2, 0.2000001, 1.0]), bin_edges(np.array([]), bins=5))

    assert places.tolist() == [0, 0, 1, 4]


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5))
def test_scores_that_mean_what_they_say_have_no_error(seed: int, classes: int) -> None:
    chance = np.random.default_rng(seed)
    confidences = chance.uniform(1 / classes, 1, 20_000)
    hits = (chance.random(20_000) < confidences).astype(float)

    assert calibration_error(confidences, hits) < 0.02
    assert calibration_error(confidences, hits, binning="mass") < 0.02


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), lift=st.floats(0.05, 0.3))
def test_a_constant_overconfidence_is_the_error(seed: int, lift: float) -> None:
    chance = np.random.default_rng(seed)
    truth = chance.uniform(0.5, 1 - lift, 20_000)
    hits = (chance.random(20_000) < truth).astype(float)

    assert calibration_error(truth + lift, hits) == pytest.approx(lift, abs=0.02)


def test_weights_count_as_repeated_rows() -> None:
    confidences, hits = np.array([0.55, 0.8, 0.95]), np.array([1.0, 0.0, 1.0])
    times = np.array([3, 1, 2])

    assert calibration_error(confidences, hits, times.astype(float)) == pytest.approx(
        calibration_error(confidences.repeat(times), hits.repeat(times))
    )


def test_the_diagram_counts_every_row_once() -> None:
    confidences = np.random.default_rng(1).uniform(0.5, 1, 500)
    diagram = reliability(confidences, (confidences > 0.75).astype(float))

    assert sum(found.rows for found in diagram) == 500
    assert len(diagram) == BINS
    assert diagram[0].accuracy is None
    assert diagram[-1].accuracy == 1


def test_the_brier_score_sums_squares_over_labels() -> None:
    probabilities = np.array([[0.8, 0.2], [0.5, 0.5], [0.0, 1.0]])

    scores = brier_scores(probabilities, np.array([0, 1, 0]))

    assert scores.tolist() == pytest.approx([2 * 0.2**2, 0.5, 2.0])
