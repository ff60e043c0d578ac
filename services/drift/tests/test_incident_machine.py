"""When incidents open, go on and close: whatever windows come, in whatever order."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.domain import Estimate
from drift.incident_advice import Severity, advise
from drift.incident_codec import decode_book, encode_book
from drift.incidents import (
    KEPT_CLOSED,
    Change,
    Direction,
    DriftedSignal,
    IncidentBook,
    JudgedGroup,
    JudgedWindow,
    Told,
    close_all,
    observe,
)
from drift.recommendation import Action
from drift.state_codec import StateUnreadable
from servicekit.identifiers import new_id

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
UP, DOWN, CHANGED = Direction.UP, Direction.DOWN, Direction.CHANGED
Drifted = Sequence[tuple[str, Direction]]
CLEAN: Drifted = ()
LONGER: Drifted = [("input_tokens", UP)]
SHORTER: Drifted = [("input_tokens", DOWN)]
UNJUDGED = None


def signal(name: str, direction: Direction) -> DriftedSignal:
    return DriftedSignal(name, direction, Estimate(0.4, 0.3, 0.5), 0.001)


def window(number: int, drifted: Drifted | None, loss: Estimate | None = None) -> JudgedWindow:
    start = START + timedelta(hours=number)
    groups: tuple[JudgedGroup, ...] = ()
    if drifted is not None:
        groups = (JudgedGroup("text", tuple(signal(*each) for each in drifted), loss),)
    return JudgedWindow(start, start + timedelta(minutes=59), groups, "test split")


def run(
    windows: Sequence[Drifted | None], loss: Estimate | None = None
) -> tuple[IncidentBook, list[Told]]:
    book, told = IncidentBook(), []
    for number, drifted in enumerate(windows):
        seen = window(number, drifted, loss)
        book, more = observe(book, seen, tenant="", now=seen.end, make_id=new_id)
        told += more
    return book, told


def changes(windows: Sequence[Drifted | None]) -> list[Change]:
    return [each.change for each in run(windows)[1]]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([LONGER], []),
        ([LONGER, CLEAN, CLEAN, LONGER], []),
        ([LONGER, LONGER], [Change.OPENED]),
        ([LONGER, CLEAN, LONGER], [Change.OPENED]),
        ([LONGER, UNJUDGED, UNJUDGED, UNJUDGED, LONGER], [Change.OPENED]),
        ([LONGER, SHORTER], []),
        ([LONGER, LONGER, CLEAN, CLEAN], [Change.OPENED]),
        ([LONGER, LONGER, CLEAN, CLEAN, CLEAN], [Change.OPENED, Change.CLOSED]),
        ([LONGER, LONGER, CLEAN, CLEAN, LONGER, CLEAN, CLEAN], [Change.OPENED]),
        ([LONGER, LONGER, *[UNJUDGED] * 9], [Change.OPENED]),
        ([LONGER, LONGER, *[CLEAN] * 3, LONGER], [Change.OPENED, Change.CLOSED]),
    ],
)
def test_two_drifted_windows_of_three_open_and_three_clean_ones_close(
    windows: list[Drifted | None], expected: list[Change]
) -> None:
    assert changes(windows) == expected


def test_shift_that_lasts_over_twenty_windows_is_one_incident_told_once() -> None:
    book, told = run([CLEAN] * 5 + [LONGER] * 20)
    assert [each.change for each in told] == [Change.OPENED]
    (incident,) = book.incidents
    assert (incident.windows, incident.signal, incident.direction) == (20, "input_tokens", UP)
    assert incident.began_at == START + timedelta(hours=5)
    assert incident.last_drift_at == START + timedelta(hours=24, minutes=59)


def test_other_way_is_another_incident_and_ends_the_first() -> None:
    book, told = run([LONGER] * 3 + [SHORTER] * 3)
    assert [each.change for each in told] == [Change.OPENED, Change.OPENED, Change.CLOSED]
    up, down = book.incidents
    assert (up.direction, up.closed_at is None) == (UP, False)
    assert (down.direction, down.closed_at is None) == (DOWN, True)


def test_another_signal_of_the_group_updates_the_incident() -> None:
    both = [("unknown_token_rate", DOWN), ("input_tokens", UP)]
    book, told = run([LONGER, LONGER, both, both])
    assert [each.change for each in told] == [Change.OPENED, Change.UPDATED]
    (incident,) = book.incidents
    assert incident.revision == 2
    assert {each.name for each in incident.signals} == {"input_tokens", "unknown_token_rate"}


def test_severity_is_the_expected_loss_and_advice_has_reasons() -> None:
    def advised(value: float, lower: float, upper: float, windows: int) -> tuple[Severity, Action]:
        advice = advise("text", Estimate(value, lower, upper), windows)
        assert advice.reasons
        return advice.severity, advice.action

    assert advised(0.002, -0.01, 0.008, 9) == (Severity.INFO, Action.WAIT)
    assert advised(-0.03, -0.05, -0.01, 9) == (Severity.INFO, Action.WAIT)
    assert advised(0.02, -0.01, 0.09, 2) == (Severity.WARNING, Action.INVESTIGATE)
    assert advised(0.004, -0.1, 0.1, 2) == (Severity.INFO, Action.WAIT)
    assert advised(0.004, -0.1, 0.1, 3) == (Severity.INFO, Action.INVESTIGATE)
    assert advised(0.09, 0.06, 0.12, 2) == (Severity.CRITICAL, Action.INVESTIGATE)
    assert advised(0.09, 0.06, 0.12, 3) == (Severity.CRITICAL, Action.RETRAIN)
    assert advised(0.09, -0.01, 0.2, 3) == (Severity.CRITICAL, Action.INVESTIGATE)
    assert advise("text", None, 2).severity is Severity.WARNING
    assert advise("service", None, 2).severity is Severity.INFO


def test_growing_loss_is_told() -> None:
    book, _ = run([LONGER, LONGER], Estimate(0.02, 0.0, 0.04))
    worse = window(2, LONGER, Estimate(0.08, 0.06, 0.1))
    book, (told,) = observe(book, worse, tenant="", now=worse.end, make_id=new_id)
    assert (told.change, told.incident.severity) == (Change.UPDATED, Severity.CRITICAL)


def test_version_that_is_forgotten_closes_its_incidents() -> None:
    book, _ = run([LONGER, LONGER])
    (told,) = close_all(book, START)
    assert (told.change, told.incident.closed_at) == (Change.CLOSED, START)


DRIFTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(Direction)),
    max_size=3,
    unique_by=lambda each: each[0],
)
WINDOWS = st.lists(st.none() | DRIFTS, max_size=60)


@given(WINDOWS)
def test_group_has_one_open_incident_for_a_direction(windows: list[Drifted | None]) -> None:
    book = IncidentBook()
    for number, drifted in enumerate(windows):
        seen = window(number, drifted)
        book, _ = observe(book, seen, tenant="", now=seen.end, make_id=new_id)
        directions = [incident.direction for incident in book.opened()]
        assert len(directions) == len(set(directions))
        assert all(incident.clean < 3 for incident in book.opened())


@given(WINDOWS)
def test_what_is_told_is_a_life_of_each_incident(windows: list[Drifted | None]) -> None:
    book, told = run(windows)
    lives: dict[object, list[Told]] = {}
    for each in told:
        lives.setdefault(each.incident.id, []).append(each)
    for life in lives.values():
        assert [each.incident.revision for each in life] == list(range(1, len(life) + 1))
        assert [each.change is Change.OPENED for each in life] == [True] + [False] * (len(life) - 1)
        assert all(each.change is not Change.CLOSED for each in life[:-1])
        assert all(a.incident.changed_at <= b.incident.changed_at for a, b in pairwise(life))
    still = {i for i, life in lives.items() if life[-1].change is not Change.CLOSED}
    assert still == {incident.id for incident in book.opened()}


@given(WINDOWS)
def test_windows_without_enough_data_change_nothing(windows: list[Drifted | None]) -> None:
    judged = [drifted for drifted in windows if drifted is not None]
    assert changes(windows) == changes(judged)


@given(WINDOWS, st.integers(0, 60))
def test_book_that_was_stored_meanwhile_goes_on_the_same(
    windows: list[Drifted | None], cut: int
) -> None:
    book, told = run(windows[:cut])
    book = decode_book(encode_book(book))
    for number, drifted in enumerate(windows[cut:], start=len(windows[:cut])):
        seen = window(number, drifted)
        book, more = observe(book, seen, tenant="", now=seen.end, make_id=new_id)
        told += more
    assert [each.change for each in told] == changes(windows)


def test_closed_incidents_are_bounded_and_open_ones_stay() -> None:
    book, _ = run([SHORTER, SHORTER, *([LONGER, LONGER, *[CLEAN] * 3] * (KEPT_CLOSED + 5))])
    assert len(book.incidents) == KEPT_CLOSED
    book, _ = run([*([LONGER, LONGER, *[CLEAN] * 3] * (KEPT_CLOSED + 5)), LONGER, LONGER])
    assert (len(book.incidents), len(book.opened())) == (KEPT_CLOSED + 1, 1)


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b'{"format": 9}', b'{"format": 1}'])
def test_book_that_cannot_be_read_is_told_as_such(stored: bytes) -> None:
    with pytest.raises(StateUnreadable):
        decode_book(stored)
