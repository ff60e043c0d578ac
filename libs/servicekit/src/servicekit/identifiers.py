"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils import compat

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> UUID:
    """A new UUIDv7; ids made by one process ascend."""
    return compat.uuid7()


def time_of(identifier: UUID) -> datetime:
    """The moment in a UUIDv7, UTC, to the millisecond.

    Raises:
        ValueError: the identifier is of another version.
    """
    if identifier.version != 7:
        raise ValueError(f"not a UUIDv7: {identifier}")
    return _EPOCH + timedelta(milliseconds=identifier.int >> 80)
