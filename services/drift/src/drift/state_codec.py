"""The state of a model version as bytes, with a format number."""

from datetime import timedelta
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AwareDatetime, Field, ValidationError

from drift.busy_tenants import BusyTenants
from drift.signal_records import Count, Record, Signals, records_of, window_of
from drift.version_state import FeedbackCount, RecentPredictions, Window, WindowSize

FORMAT: Final = 2
_KEY = 8
_Time = Annotated[AwareDatetime, Field(strict=False)] | None
"""Times are texts in JSON."""


class StateUnreadable(ValueError):
    """Stored bytes are broken, or another version of the service wrote them."""


class _WindowRecord(Record):
    format: Literal[2] = FORMAT
    capacity: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0, le=1e9)]
    first_predicted_at: _Time
    last_predicted_at: _Time
    rows: Count
    signals: Signals


class _FeedbackRecord(Record):
    format: Literal[2] = FORMAT
    labelled: Count
    agreed: Count


class _TenantsRecord(Record):
    format: Literal[2] = FORMAT
    counts: dict[str, Count]
    total: Count
    watched: list[str]


_RecordT = TypeVar("_RecordT", bound=Record)


def encode_window(window: Window) -> bytes:
    """A window: at most 1 MB with 20 signals, and 350 KB with those of a text model."""
    record = _WindowRecord(
        capacity=window.size.rows,
        seconds=window.size.time.total_seconds(),
        first_predicted_at=window.first_predicted_at,
        last_predicted_at=window.last_predicted_at,
        rows=window.rows,
        signals=records_of(window.observed),
    )
    return record.model_dump_json().encode()


def decode_window(data: bytes) -> Window:
    """Gives it back.

    Raises:
        StateUnreadable: it cannot be.
    """
    record = _read(data, _WindowRecord)
    try:
        observed = window_of(record.rows, record.signals)
    except ValueError as error:
        raise StateUnreadable(str(error)) from error
    if record.rows and not (record.first_predicted_at and record.last_predicted_at):
        raise StateUnreadable("a window with rows has no times")
    size = WindowSize(record.capacity, timedelta(seconds=record.seconds))
    return Window(size, record.first_predicted_at, record.last_predicted_at, observed)


def encode_feedback(count: FeedbackCount) -> bytes:
    """The counts of feedback."""
    record = _FeedbackRecord(labelled=count.labelled, agreed=count.agreed)
    return record.model_dump_json().encode()


def decode_feedback(data: bytes) -> FeedbackCount:
    """Gives them back.

    Raises:
        StateUnreadable: it cannot be.
    """
    record = _read(data, _FeedbackRecord)
    return FeedbackCount(record.labelled, record.agreed)


def encode_tenants(tenants: BusyTenants) -> bytes:
    """Who is counted and who was chosen: some 40 KB at most."""
    record = _TenantsRecord(
        counts=tenants.counts, total=tenants.total, watched=list(tenants.watched)
    )
    return record.model_dump_json().encode()


def decode_tenants(data: bytes) -> BusyTenants:
    """Gives it back.

    Raises:
        StateUnreadable: it cannot be.
    """
    record = _read(data, _TenantsRecord)
    return BusyTenants(record.counts, record.total, tuple(record.watched))


def encode_recent(recent: RecentPredictions) -> bytes:
    """The keys one after the other."""
    return b"".join(recent.keys)


def decode_recent(data: bytes) -> RecentPredictions:
    """Gives them back.

    Raises:
        StateUnreadable: it cannot be.
    """
    if len(data) % _KEY:
        raise StateUnreadable("the recent predictions are cut")
    keys = (data[place : place + _KEY] for place in range(0, len(data), _KEY))
    return RecentPredictions(dict.fromkeys(keys))


def _read(data: bytes, into: type[_RecordT]) -> _RecordT:
    try:
        return into.model_validate_json(data)
    except ValidationError as error:
        raise StateUnreadable(f"does not fit format {FORMAT}") from error
