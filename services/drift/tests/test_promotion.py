"""Which windows become a reference, and what becomes of incidents; without a store."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from drift.comparison import compare
from drift.domain import Estimate, ModelVersion
from drift.impact import estimate_impact
from drift.incidents import Change, Direction, Incident, IncidentBook, SeenWindow
from drift.promotion import (
    Draft,
    IncidentInRange,
    ReasonInvalid,
    ReferenceTooSmall,
    begun_anew,
    check_incidents,
    checked_reason,
)
from drift.reference_codec import decode_reference, encode_reference, encode_shelf, shelf_of
from drift.reference_shelf import (
    KEPT_PROMOTED,
    PromotedReference,
    PutInForce,
    ReferenceShelf,
    ReferenceUnknown,
)
from drift.signals import (
    ACCURACY,
    CONFIDENCE,
    LATENCY,
    PACKAGE,
    PROJECTION,
    ConfidenceBin,
    KnownAccuracy,
    RatioColumn,
    SignalReference,
    SignalWindow,
    feature,
)
from drift.vector_reservoir import UNKNOWN, VectorRows
from drift.version_state import Window, WindowSize

from .test_incident_api import incident

ABOUT = ModelVersion("prices", "3")
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SIZE = feature("size")
HOUR = timedelta(hours=1)


def closed(rows: int, number: int = 0, *, feedback: int = 0, mean: float = 0.0) -> Window:
    """One an hour."""
    random = np.random.default_rng(number)
    observed = SignalWindow()
    vectors = VectorRows(
        random.integers(0, 2**63, rows).astype(np.uint64),
        random.integers(-9, 9, (rows, 4)).astype(np.int8),
        np.full(rows, 0.05, np.float32),
        np.full(rows, 0.9, np.float32),
        np.full(rows, UNKNOWN, np.int8),
    )
    observed.update(
        rows,
        {
            SIZE: random.normal(mean, 1, rows),
            LATENCY: random.random(rows),
            CONFIDENCE: random.uniform(0.5, 1, rows),
            PROJECTION: vectors,
        },
    )
    if feedback:
        observed.update(0, {ACCURACY: RatioColumn(np.ones(feedback) * 0.5, np.ones(feedback))})
    began = START + number * HOUR
    return Window(WindowSize(rows), began, began + HOUR / 2, observed)


def draft(*windows: Window, by_blocks: bool = False) -> Draft:
    made = Draft(ABOUT, by_blocks)
    for window in windows:
        made.add(window)
    return made


def test_reference_holds_the_rows_of_all_windows() -> None:
    made = draft(closed(200), closed(300, 1))
    assert (made.rows, made.windows) == (500, 2)
    assert (made.first_predicted_at, made.last_predicted_at) == (START, START + 1.5 * HOUR)
    reference = made.finished("two windows", 30)
    assert (reference.about, reference.window.rows, reference.blocks) == (ABOUT, 500, ())
    sizes = reference.window.number(SIZE)
    assert sizes is not None
    assert sizes.moments.rows == 500


def test_windows_keep_what_they_had() -> None:
    window = closed(200)
    draft(window, closed(300, 1))
    assert window.observed.rows == 200
    assert LATENCY in window.observed.signals


def test_how_the_service_ran_is_not_in_a_reference() -> None:
    assert LATENCY not in draft(closed(200)).finished("one", 30).window.signals


@pytest.mark.parametrize(("rows", "there"), [(20, False), (30, True)])
def test_feedback_of_few_rows_is_no_claim(rows: int, there: bool) -> None:
    reference = draft(closed(200, feedback=rows)).finished("one", 30)
    assert (ACCURACY in reference.window.signals) is there


def test_windows_of_few_rows_are_no_reference() -> None:
    with pytest.raises(ReferenceTooSmall) as refusal:
        draft(closed(9), closed(20, 1)).finished("two", 30)
    assert refusal.value.violations[0].description == "holds 29 predictions; 30 are needed"


def test_rows_that_depend_on_each_other_need_enough_windows() -> None:
    windows = [closed(100, number) for number in range(20)]
    with pytest.raises(ReferenceTooSmall, match="holds 19 windows of 1900 predictions; 20 windows"):
        draft(*windows[1:], by_blocks=True).finished("few", 30)
    reference = draft(*windows, by_blocks=True).finished("enough", 30)
    assert [block.rows for block in reference.blocks] == [100] * 20
    assert PROJECTION in reference.window.signals
    # Nothing judges them by blocks.
    assert all(PROJECTION not in block.signals for block in reference.blocks)


@pytest.mark.parametrize("by_blocks", [False, True])
def test_stored_reference_comes_back_as_it_was(by_blocks: bool) -> None:
    windows = [closed(100, number, feedback=40) for number in range(20)]
    made = draft(*windows, by_blocks=by_blocks).finished("windows", 30)
    found = decode_reference(encode_reference(made), ABOUT)
    assert (found.source, found.window.rows, len(found.blocks)) == (
        "windows",
        2000,
        20 if by_blocks else 0,
    )
    window = closed(300, 99, mean=0.3).observed
    before, after = (compare(each.window, window, 30) for each in (made, found))
    for one, other in zip(before, after, strict=True):
        assert other.statistics() == pytest.approx(one.statistics())


@pytest.mark.parametrize("stored", [b"nonsense", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_broken_reference_is_told_as_such(stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"decompressed|JSON|json"):
        decode_reference(stored, ABOUT)


def test_reference_of_another_version_is_none() -> None:
    stored = encode_reference(draft(closed(100)).finished("one", 30))
    with pytest.raises(ValueError, match="another model version"):
        decode_reference(stored, ModelVersion("prices", "4"))


def test_too_much_is_no_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drift.reference_codec.LARGEST_REFERENCE", 100)
    with pytest.raises(ValueError, match="too large"):
        encode_reference(draft(closed(100)).finished("one", 30))


def test_what_accuracy_costs_is_counted_from_the_promoted_windows() -> None:
    bins = (ConfidenceBin(0.5, 0.75, 500, 0.6, 300), ConfidenceBin(0.75, 1, 500, 0.9, 450))
    known = KnownAccuracy(1000, Estimate(0.75, 0.72, 0.78), bins)
    package = SignalReference(ABOUT, "split", closed(1000).observed, known)
    sure = SignalWindow()
    sure.update(500, {CONFIDENCE: np.full(500, 0.9)})
    promoted = SignalReference(ABOUT, "sure", sure, labelled=package)
    impact = estimate_impact(promoted, sure)
    assert impact is not None
    assert (impact.reference_accuracy, impact.expected_loss) == (0.9, 0.0)
    assert impact.accuracy.lower < 0.9 < impact.accuracy.upper


OPEN = incident(began_at=START, last_drift_at=START + 3 * HOUR)
OVER = replace(OPEN, closed_at=START + 7 * HOUR)


@pytest.mark.parametrize(
    ("known", "first", "last", "lies_in"),
    [
        (OPEN, -2, -1, False),
        (OPEN, -2, 0, True),
        (OPEN, 5, 6, True),
        (OVER, 1, 2, True),
        (OVER, 3, 9, True),
        # Its last windows were clean.
        (OVER, 4, 9, False),
        # That of one tenant says little of all of them together.
        (replace(OPEN, tenant="acme"), 1, 2, False),
    ],
)
def test_incident_lies_where_it_drifted(
    known: Incident, first: int, last: int, lies_in: bool
) -> None:
    book = IncidentBook(incidents=(known,))
    times = START + first * HOUR, START + last * HOUR
    assert check_incidents(book, *times, accepted=True) is lies_in
    if lies_in:
        with pytest.raises(IncidentInRange):
            check_incidents(book, *times, accepted=False)
    else:
        assert check_incidents(book, *times, accepted=False) is False


def test_open_incidents_are_closed_and_windows_forgotten() -> None:
    seen = {"text": (SeenWindow(START, (("input_tokens", Direction.UP),)),)}
    closed_before = replace(incident(), closed_at=START)
    book = IncidentBook(seen, (closed_before, OPEN))
    after, told = begun_anew(book, START + HOUR, "reference-9")
    ((change, now),) = [(each.change, each.incident) for each in told]
    assert (change, now.id, now.revision) == (Change.CLOSED, OPEN.id, 2)
    assert now.closed_at == START + HOUR
    assert now.reasons == (*OPEN.reasons, now.reasons[-1])
    assert "reference-9" in now.reasons[-1]
    assert (after.opened(), dict(after.seen), len(after.incidents)) == ([], {}, 2)


def promoted(number: int) -> PromotedReference:
    return PromotedReference(
        str(number), "windows", 100, 1, START, START, START + number * HOUR, "me", "why", False
    )


def test_shelf_keeps_the_newest() -> None:
    shelf = ReferenceShelf()
    for number in range(KEPT_PROMOTED + 3):
        shelf = shelf.with_promoted(promoted(number))
    assert [each.reference_id for each in shelf.promoted] == [
        str(number) for number in range(3, KEPT_PROMOTED + 3)
    ]
    assert shelf.in_force == str(KEPT_PROMOTED + 2)
    assert shelf.put == PutInForce(START + 12 * HOUR, "me", "why")
    with pytest.raises(ReferenceUnknown):
        shelf.with_in_force("0", PutInForce(START, "me", "why"))
    assert shelf.with_in_force(PACKAGE, PutInForce(START, "me", "why")).in_force == PACKAGE


def test_stored_shelf_comes_back_as_it_was() -> None:
    shelf = ReferenceShelf().with_promoted(promoted(1)).with_promoted(promoted(2))
    assert shelf_of(ABOUT, encode_shelf(shelf)) == shelf
    assert shelf_of(ABOUT, None) == ReferenceShelf()


@pytest.mark.parametrize(
    "stored", [b"{", b"[]", json.dumps({"format": 9}).encode(), b'{"format": 1}']
)
def test_shelf_that_cannot_be_read_leaves_the_package_in_force(stored: bytes) -> None:
    assert shelf_of(ABOUT, stored).in_force == PACKAGE


@pytest.mark.parametrize("reason", ["", "   ", "a\nb", "x" * 501])
def test_change_needs_a_reason(reason: str) -> None:
    with pytest.raises(ReasonInvalid):
        checked_reason(reason)
    assert checked_reason(" the app ") == "the app"
