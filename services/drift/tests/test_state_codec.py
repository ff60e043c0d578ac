"""Stored state comes back as it was."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from drift.comparison import compare
from drift.state_codec import (
    StateUnreadable,
    decode_feedback,
    decode_window,
    encode_feedback,
    encode_window,
)
from drift.version_state import FeedbackCount, VersionState, Window


def filled(world: Any, rows: int, capacity: int = 1000) -> Window:
    window = Window(capacity)
    for _ in range(rows):
        window.add(world.prediction())
    return window


@pytest.mark.parametrize("rows", [1, 2, 30, 1000])
def test_window_comes_back_as_it_was(world: Any, rows: int) -> None:
    window = filled(world, rows)
    restored = decode_window(encode_window(window))
    assert restored.span() == window.span()
    reference = world.observations(100)
    before, after = (compare(reference, side.observations, 2) for side in (window, restored))
    for one, other in zip(before, after, strict=True):
        assert other.statistics() == pytest.approx(one.statistics())


def test_full_window_takes_a_few_kilobytes(world: Any) -> None:
    assert len(encode_window(filled(world, 1000))) < 8 * 1024


def test_empty_window_is_not_stored() -> None:
    with pytest.raises(ValueError, match="without rows"):
        encode_window(Window(10))


def test_feedback_comes_back_as_it_was() -> None:
    assert decode_feedback(encode_feedback(FeedbackCount(5, 4))) == FeedbackCount(5, 4)


@pytest.mark.parametrize("change", [{"format": 2}, {"capacity": 0}, {"signals": {}}])
def test_window_of_another_format_is_unreadable(world: Any, change: dict[str, object]) -> None:
    content = json.loads(encode_window(filled(world, 3))) | change
    with pytest.raises(StateUnreadable):
        decode_window(json.dumps(content).encode())


def test_window_with_a_broken_sketch_is_unreadable(world: Any) -> None:
    content = json.loads(encode_window(filled(world, 3)))
    content["signals"]["confidence"]["kll"] = "AAAA"
    with pytest.raises(StateUnreadable, match="cannot be read"):
        decode_window(json.dumps(content).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 1, "labelled": -1, "agreed": 0}'])
def test_nonsense_is_unreadable(data: bytes) -> None:
    with pytest.raises(StateUnreadable):
        decode_feedback(data)
    with pytest.raises(StateUnreadable):
        decode_window(data)


def test_window_closes_at_its_capacity_and_the_next_one_is_empty(world: Any) -> None:
    state = VersionState()
    closed = [state.add(world.prediction(), capacity=3) for _ in range(4)]
    assert [window is not None for window in closed] == [False, False, True, False]
    assert state.closed is closed[2]
    assert state.open is not None
    assert state.open.rows == 1


def test_new_capacity_holds_from_the_next_window_on(world: Any) -> None:
    state = VersionState()
    state.add(world.prediction(), capacity=2)
    assert state.add(world.prediction(), capacity=50) is not None
    assert state.add(world.prediction(), capacity=50) is None


@pytest.mark.parametrize(
    ("open_rows", "closed_rows", "reported"),
    [
        (0, 0, 0),
        (5, 0, 5),
        (5, 100, 100),
        (29, 100, 100),
        (30, 100, 30),
        (0, 100, 100),
    ],
)
def test_reported_window_is_the_newest_that_says_something(
    world: Any, open_rows: int, closed_rows: int, reported: int
) -> None:
    state = VersionState(
        open=filled(world, open_rows) if open_rows else None,
        closed=filled(world, closed_rows) if closed_rows else None,
    )
    assert state.reported(30, 1000).rows == reported


def test_window_spans_its_earliest_and_latest_prediction(world: Any) -> None:
    window = Window(10)
    for minute in (5, 3, 9, 4):
        window.add(world.prediction(predicted_at=datetime(2026, 1, 1, 0, minute, tzinfo=UTC)))
    span = window.span()
    assert (span.first_predicted_at, span.last_predicted_at) == (
        datetime(2026, 1, 1, 0, 3, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 9, tzinfo=UTC),
    )


def test_accuracy_of_feedback_has_a_wilson_interval() -> None:
    summary = FeedbackCount(labelled=263, agreed=81).summary()
    assert summary.accuracy is not None
    assert summary.accuracy.lower == pytest.approx(0.2553, abs=5e-5)
    assert summary.accuracy.upper == pytest.approx(0.3662, abs=5e-5)
    assert FeedbackCount().summary().accuracy is None
