"""The incidents of a model version, and where its detectors stand, as bytes."""

import json
from typing import Final

from pydantic import TypeAdapter

from drift.break_watch import Standing, Standings
from drift.incidents import IncidentBook
from drift.state_codec import StateUnreadable

FORMAT: Final = 1
_BOOK: TypeAdapter[IncidentBook] = TypeAdapter(IncidentBook)
_STANDINGS: TypeAdapter[dict[str, Standing]] = TypeAdapter(dict[str, Standing])


def encode_book(book: IncidentBook) -> bytes:
    """About 1 KB for each incident."""
    return json.dumps({"format": FORMAT, "book": _BOOK.dump_python(book, mode="json")}).encode()


def decode_book(data: bytes) -> IncidentBook:
    """Gives it back.

    Raises:
        StateUnreadable: it cannot be.
    """
    try:
        stored = json.loads(data)
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise StateUnreadable(f"is not of format {FORMAT}")
        return _BOOK.validate_python(stored["book"])
    except (ValueError, KeyError) as error:
        raise StateUnreadable(f"does not fit format {FORMAT}") from error


def encode_standings(standings: Standings) -> bytes:
    """A few numbers for each signal."""
    stored = _STANDINGS.dump_python(dict(standings), mode="json")
    return json.dumps({"format": FORMAT, "standings": stored}).encode()


def decode_standings(data: bytes) -> Standings:
    """Gives them back.

    Raises:
        StateUnreadable: it cannot be.
    """
    try:
        stored = json.loads(data)
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise StateUnreadable(f"is not of format {FORMAT}")
        return _STANDINGS.validate_python(stored["standings"])
    except (ValueError, KeyError) as error:
        raise StateUnreadable(f"does not fit format {FORMAT}") from error
