"""The state of a model version as bytes, with a format number."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, ValidationError

from drift.signal_records import Count, Record, SignalRecords
from drift.version_state import FeedbackCount, Window

FORMAT: Final = 1


class StateUnreadable(ValueError):
    """Stored bytes are broken, or a later version wrote them."""


class _WindowRecord(Record):
    format: Literal[1] = FORMAT
    capacity: Annotated[int, Field(ge=1)]
    # Times are texts in JSON.
    first_predicted_at: Annotated[AwareDatetime, Field(strict=False)]
    last_predicted_at: Annotated[AwareDatetime, Field(strict=False)]
    signals: SignalRecords


class _FeedbackRecord(Record):
    format: Literal[1] = FORMAT
    labelled: Count
    agreed: Count


def encode_window(window: Window) -> bytes:
    """A window that has rows; about 7 KB for a thousand of them."""
    record = _WindowRecord(
        capacity=window.capacity,
        first_predicted_at=_present(window.first_predicted_at),
        last_predicted_at=_present(window.last_predicted_at),
        signals=SignalRecords.of(window.observations),
    )
    return record.model_dump_json().encode()


def decode_window(data: bytes) -> Window:
    """Gives it back.

    Raises:
        StateUnreadable: it cannot be.
    """
    try:
        record = _WindowRecord.model_validate_json(data)
        observations = record.signals.observations()
    except ValueError as error:
        raise _unreadable(error) from error
    return Window(
        record.capacity, record.first_predicted_at, record.last_predicted_at, observations
    )


def encode_feedback(count: FeedbackCount) -> bytes:
    """The counts of feedback."""
    record = _FeedbackRecord(labelled=count.labelled, agreed=count.agreed)
    return record.model_dump_json().encode()


def decode_feedback(data: bytes) -> FeedbackCount:
    """Gives them back.

    Raises:
        StateUnreadable: it cannot be.
    """
    try:
        record = _FeedbackRecord.model_validate_json(data)
    except ValueError as error:
        raise _unreadable(error) from error
    return FeedbackCount(record.labelled, record.agreed)


def _unreadable(error: ValueError) -> StateUnreadable:
    if isinstance(error, ValidationError):
        return StateUnreadable(f"does not fit format {FORMAT}")
    return StateUnreadable(str(error))


def _present(moment: datetime | None) -> datetime:
    if moment is None:
        raise ValueError("a window without rows is not stored")
    return moment
