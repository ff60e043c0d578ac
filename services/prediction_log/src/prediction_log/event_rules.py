"""What a value of an event must be like before it may come near the database.

Every rule raises PoisonEvent, which says the field and what is wrong with it, never the value.
"""

from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from prediction_log.domain import MAX_COUNT, MAX_NAME
from prediction_log.errors import PoisonEvent
from servicekit.event_stream import Event
from servicekit.identifiers import time_of

ROUNDING = 1e-6
"""A softmax in float32 may sum to a little more than 1."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MessageT = TypeVar("MessageT", bound=Message)


def parse(event: Event, message: MessageT) -> MessageT:
    """Reads the event into the empty message; checks that it is of that type."""
    expected = message.DESCRIPTOR.full_name
    if event.type_name != expected:
        raise PoisonEvent(f"the type is not {expected}")
    try:
        message.ParseFromString(event.data)
    except DecodeError as error:
        raise PoisonEvent(f"the bytes are no {expected}") from error
    return message


def identifier(field: str, value: str) -> UUID:
    """A UUIDv7."""
    return timed_identifier(field, value)[0]


def timed_identifier(field: str, value: str) -> tuple[UUID, datetime]:
    """A UUIDv7 and the moment in it."""
    try:
        parsed = UUID(value)
        return parsed, time_of(parsed)
    except (ValueError, OverflowError) as error:
        raise PoisonEvent(f"{field} is no UUIDv7") from error


def feedback_id(value: str) -> UUID:
    """By its time, or by the idempotency key that it was given under."""
    try:
        parsed = UUID(value)
    except ValueError as error:
        raise PoisonEvent("feedback_id is no UUID") from error
    if parsed.version not in (7, 8):
        raise PoisonEvent("feedback_id is no UUIDv7 and no UUIDv8")
    return parsed


def moment(field: str, value: Timestamp) -> datetime:
    """A moment between the years 1 and 9999; the epoch itself counts as missing."""
    # By hand: ToDatetime takes longer than all else that is done with a timestamp.
    seconds, nanos = value.seconds, value.nanos
    try:
        when = _EPOCH + timedelta(0, seconds, nanos // 1000)
    except OverflowError as error:
        raise PoisonEvent(f"{field} is out of range") from error
    if not 0 <= nanos < 1_000_000_000:
        raise PoisonEvent(f"{field} is out of range")
    if not seconds and not nanos:
        raise PoisonEvent(f"{field} is missing")
    return when


def text(field: str, value: str, limit: int = MAX_NAME) -> str:
    """A text that is there and fits its column."""
    if not value:
        raise PoisonEvent(f"{field} is empty")
    if len(value) > limit:
        raise PoisonEvent(f"{field} is longer than {limit} characters")
    if "\0" in value:
        raise PoisonEvent(f"{field} holds a NUL character")
    return value


def optional_text(field: str, value: str, limit: int = MAX_NAME) -> str | None:
    """The same, or None."""
    return text(field, value, limit) if value else None


def share(field: str, value: float) -> float:
    """Between 0 and 1."""
    # Written so that NaN fails too.
    if not 0 <= value <= 1 + ROUNDING:
        raise PoisonEvent(f"{field} is not between 0 and 1")
    return value


def count(field: str, value: int) -> int:
    """One that an integer column takes."""
    if value > MAX_COUNT:
        raise PoisonEvent(f"{field} is out of range")
    return value
