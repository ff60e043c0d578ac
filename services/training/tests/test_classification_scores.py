from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.classification_scores import (
    accuracy,
    confusion,
    f1,
    macro_f1,
    precision,
    recall,
    roc_auc,
    roc_curve,
)

TRUE = np.array([1, 0, 0, 0])
SAID = np.array([1, 1, 0, 0])


def test_rows_are_counted_by_true_and_predicted_label() -> None:
    assert confusion(TRUE, SAID, 2).tolist() == [[2, 1], [0, 1]]


def test_scores_of_a_matrix_are_those_computed_by_hand() -> None:
    matrix = confusion(TRUE, SAID, 2)

    assert accuracy(matrix) == 0.75
    assert precision(matrix).tolist() == [1, 0.5]
    assert recall(matrix).tolist() == pytest.approx([2 / 3, 1])
    # Label 1: TP 1, FP 1, FN 0. Label 0: TP 2, FP 0, FN 1.
    assert f1(matrix).tolist() == pytest.approx([4 / 5, 2 / 3])
    assert macro_f1(matrix) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_a_label_that_never_occurs_has_no_scores_and_leaves_the_mean_alone() -> None:
    matrix = confusion(TRUE, SAID, 3)

    assert np.isnan([precision(matrix)[2], recall(matrix)[2], f1(matrix)[2]]).all()
    assert macro_f1(matrix) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_weights_are_repetitions_of_rows() -> None:
    weights = np.array([[1.0, 1, 1, 1], [0, 2, 1, 3]])

    matrices = confusion(TRUE, SAID, 2, weights)

    assert matrices[0].tolist() == [[2, 1], [0, 1]]
    assert (
        matrices[1].tolist()
        == confusion(TRUE[[1, 1, 2, 3, 3, 3]], SAID[[1, 1, 2, 3, 3, 3]], 2).tolist()
    )
    assert accuracy(matrices).tolist() == pytest.approx([3 / 4, 4 / 6])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=20
    )
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(
    rows: list[tuple[bool, int, int]],
) -> None:
    positive = np.array([float(row[0]) for row in rows])
    scores, weights = np.array([row[1] / 5 for row in rows]), np.array([float(r[2]) for r in rows])
    pairs = [
        (wa * wb, 1.0 if a > b else 0.5 if a == b else 0.0)
        for a, wa, pa in zip(scores, weights, positive, strict=True)
        for b, wb, pb in zip(scores, weights, positive, strict=True)
        if pa and not pb
    ]
    total = sum(weight for weight, _ in pairs)

    (area,) = roc_auc(positive, scores, weights[None])

    if total:
        assert area == pytest.approx(sum(weight * won for weight, won in pairs) / total)
    else:
        assert np.isnan(area)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_area_lies_under_the_curve(seed: int, levels: int) -> None:
    chance = np.random.default_rng(seed)
    positive = np.array([1.0, 0.0, *chance.integers(0, 2, 30)])
    scores = chance.integers(0, levels, 32) / levels

    alarms, hits = roc_curve(positive, scores)

    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(hits, alarms) == pytest.approx(
        roc_auc(positive, scores, np.ones((1, 32)))[0]
    )


def test_a_perfect_ranking_has_area_one_and_its_reverse_none() -> None:
    positive, scores = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])

    assert roc_auc(positive, scores, np.ones((1, 4))) == 1
    assert roc_auc(positive, -scores, np.ones((1, 4))) == 0
