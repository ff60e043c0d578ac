"""A sudden break is found soon, and without one there is seldom an alarm."""

import numpy as np
import pytest

from drift.change_detector import ChangeDetector, ControlLimit, Direction


@pytest.fixture(scope="module")
def limit() -> ControlLimit:
    """Of confidences, one false alarm in 5000."""
    values = np.random.default_rng(1).beta(8, 1, 2000) / 2 + 0.5
    return ControlLimit.calibrated(values, np.ones(2000), 5000)


def confidences(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.beta(8, 1, rows) / 2 + 0.5


def test_false_alarms_come_as_seldom_as_stated(limit: ControlLimit) -> None:
    detector = ChangeDetector(limit)
    changes = detector.update(confidences(np.random.default_rng(2), 200_000))
    # 40 are expected; a Poisson number lies between these 99 times of 100.
    assert 24 <= len(changes) <= 60


def test_fall_of_the_confidence_is_found_within_a_hundred_rows(limit: ControlLimit) -> None:
    detector = ChangeDetector(limit)
    rng = np.random.default_rng(3)
    assert detector.update(confidences(rng, 300)) == []
    changes = detector.update(confidences(rng, 100) - limit.deviation)
    assert changes[0].direction is Direction.DOWN
    assert changes[0].rows_ago < 60


def test_rise_is_told_from_a_fall(limit: ControlLimit) -> None:
    detector = ChangeDetector(limit)
    changes = detector.update(confidences(np.random.default_rng(4), 100) + limit.deviation)
    assert {change.direction for change in changes} == {Direction.UP}


def test_how_rows_are_cut_makes_no_difference_and_gaps_are_left_out(limit: ControlLimit) -> None:
    rows = confidences(np.random.default_rng(5), 500) - limit.deviation / 2
    whole, parts = ChangeDetector(limit), ChangeDetector(limit)
    together = whole.update(np.insert(rows, 100, [np.nan, np.inf]))
    apart = [change for part in np.array_split(rows, 17) for change in parts.update(part)]
    # The place is that within an update.
    assert [(c.direction, c.rows_ago) for c in together] == [
        (c.direction, c.rows_ago) for c in apart
    ]
    assert (whole.up, whole.down) == (parts.up, parts.down)


def test_constant_reference_has_no_limit() -> None:
    with pytest.raises(ValueError, match="constant"):
        ControlLimit.calibrated(np.ones(3), np.ones(3))
