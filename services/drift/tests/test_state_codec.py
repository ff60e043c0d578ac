"""Stored state comes back as it was."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drift.comparison import compare
from drift.domain import WindowSpan
from drift.state_codec import (
    StateUnreadable,
    decode_feedback,
    decode_window,
    encode_feedback,
    encode_window,
)
from drift.version_state import FeedbackCount, VersionState, Window, WindowSize

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def filled(world: Any, rows: int, capacity: int = 1000) -> Window:
    window = Window(WindowSize(capacity))
    window.take([world.prediction() for _ in range(rows)])
    return window


@pytest.mark.parametrize("rows", [1, 2, 30, 1000])
def test_window_comes_back_as_it_was(world: Any, rows: int) -> None:
    window = filled(world, rows)
    restored = decode_window(encode_window(window))
    assert restored.span() == window.span()
    reference = world.observed(100)
    before, after = (compare(reference, side.observed, 2) for side in (window, restored))
    for one, other in zip(before, after, strict=True):
        assert other.statistics() == pytest.approx(one.statistics())


def test_empty_window_comes_back_as_it_was() -> None:
    assert decode_window(encode_window(Window(WindowSize(10)))).span() == WindowSpan(
        None, None, 0, 10
    )


def test_feedback_comes_back_as_it_was() -> None:
    assert decode_feedback(encode_feedback(FeedbackCount(5, 4))) == FeedbackCount(5, 4)


@pytest.mark.parametrize(
    "change",
    [{"format": 3}, {"capacity": 0}, {"rows": 2}, {"seconds": -1.0}, {"first_predicted_at": None}],
)
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
    assert state.take([world.prediction() for _ in range(4)], WindowSize(3)) == 3
    assert state.closed is not None
    assert (state.closed.rows, state.open) == (3, None)
    assert state.take([world.prediction()], WindowSize(3)) == 1
    assert state.open is not None
    assert state.open.rows == 1


def test_new_capacity_holds_from_the_next_window_on(world: Any) -> None:
    state = VersionState()
    state.take([world.prediction()], WindowSize(2))
    state.take([world.prediction()], WindowSize(50))
    assert (state.closed and state.closed.rows, state.open) == (2, None)
    state.take([world.prediction()], WindowSize(50))
    assert state.open is not None


def test_window_closes_at_its_rows_or_its_time_whichever_comes_later(world: Any) -> None:
    def closed_at(seconds: list[float]) -> int | None:
        rows = [world.prediction(predicted_at=START + timedelta(seconds=at)) for at in seconds]
        state = VersionState()
        taken = state.take(rows, WindowSize(3, timedelta(seconds=10)))
        return taken if state.closed else None

    assert closed_at([0, 1, 2, 3, 9, 10, 11]) == 6
    assert closed_at([0, 30]) is None
    assert closed_at([0, 30, 31, 32]) == 3


@pytest.mark.parametrize("step", [timedelta(days=400), -timedelta(days=400)])
def test_step_of_a_clock_closes_no_window_that_lacks_rows(world: Any, step: timedelta) -> None:
    state = VersionState()
    rows = [world.prediction(), world.prediction(predicted_at=START + step), world.prediction()]
    state.take(rows, WindowSize(50, timedelta(hours=1)))
    assert state.closed is None
    assert state.open is not None
    assert state.open.rows == 3


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
    assert state.reported(30, WindowSize(1000)).rows == reported


def test_window_spans_its_earliest_and_latest_prediction(world: Any) -> None:
    window = Window(WindowSize(10))
    minutes = [datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in (5, 3, 9, 4)]
    window.take([world.prediction(predicted_at=at) for at in minutes])
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
