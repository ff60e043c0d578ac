"""Identifiers that sort by the time they were made (UUIDv7, RFC 9562)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils import compat

LATEST_MILLISECOND = 2**48
"""Since the epoch; exclusive. A UUIDv7 has no room for more."""
_RANDOM = 2**80 - 1
"""Mask of the bits that are no time: version, variant and chance."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> UUID:
    """A new UUIDv7; ids made by one process ascend."""
    return compat.uuid7()


def new_id_at(milliseconds: int) -> UUID:
    """A new UUIDv7 of another moment, since the epoch; ids of one millisecond come in any order.

    Raises:
        ValueError: the moment is before the epoch, or too late.
    """
    if not 0 <= milliseconds < LATEST_MILLISECOND:
        raise ValueError(f"no moment of a UUIDv7: {milliseconds}")
    return UUID(int=milliseconds << 80 | new_id().int & _RANDOM)


def time_of(identifier: UUID) -> datetime:
    """The moment in a UUIDv7, UTC, to the millisecond.

    Raises:
        ValueError: the identifier is of another version.
    """
    number = identifier.int
    # The version, and the variant that has versions; UUID.version takes twice the whole time.
    if number >> 76 & 0xF != 7 or number >> 62 & 0x3 != 2:
        raise ValueError(f"not a UUIDv7: {identifier}")
    return _EPOCH + timedelta(milliseconds=number >> 80)
