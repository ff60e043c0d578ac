"""What became of events that could not become rows: finding them, and trying them again.

A replay does not publish the event again: the drift watch would see it twice, Redis would have to
be there, and a crash in between would lose the mark or double the event. The row and the mark are
one transaction instead, and the row's own key keeps it single however often that is tried.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, tuple_, update

from prediction_log.database import Database
from prediction_log.domain import DeadLetter, PredictionRecord, Record
from prediction_log.record_store import RecordStore, Writer
from prediction_log.tables import DEAD_LETTERS
from servicekit.event_stream import Event

_PAGE = 200
_LETTERS = DEAD_LETTERS.c


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """What is set must match; None matches everything."""

    stream: str | None = None
    reason: str | None = None
    """A part of the reason."""
    replayed: bool = False
    """Whether to show those, too, that have become rows meanwhile."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its payload, which may hold private data."""

    stream: str
    entry_id: str
    type_name: str
    reason: str
    recorded_at: datetime
    tried_at: datetime | None
    """The last replay that did not help."""
    replayed_at: datetime | None
    size: int
    """Bytes that are kept of the payload; none of a letter that was replayed."""


_ORDER = (_LETTERS.recorded_at, _LETTERS.stream, _LETTERS.entry_id)
_SIZE = func.octet_length(_LETTERS.data).label("size")
_COLUMNS = [*(_LETTERS[field.name] for field in fields(Letter) if field.name != "size"), _SIZE]


class DeadLetters:
    """The table of dead letters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, wanted: LetterFilter, limit: int) -> AsyncIterator[Letter]:
        """Up to `limit` letters, the oldest first.

        Raises:
            LogStoreUnavailable: the database is away.
        """
        query = _matching(wanted).order_by(*_ORDER)
        page: Sequence[Letter] = []
        while limit > 0:
            following = query
            if page:
                last = page[-1]
                after = (last.recorded_at, last.stream, last.entry_id)
                following = query.where(tuple_(*_ORDER) > after)
            async with self._database.transaction() as connection:
                found = await connection.execute(following.limit(min(_PAGE, limit)))
                page = [_letter(row) for row in found]
            for letter in page:
                yield letter
            if not page:
                return
            limit -= len(page)

    async def get(self, stream: str, entry_id: str) -> tuple[Letter, Event] | None:
        """A letter and the event in it; None when there is no such letter.

        Raises:
            LogStoreUnavailable: the database is away.
        """
        query = select(*_COLUMNS, _LETTERS.data).where(
            _LETTERS.stream == stream, _LETTERS.entry_id == entry_id
        )
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        letter = _letter(row)
        return letter, Event(entry_id, letter.type_name, row.data, traceparent="")


class ReplayStore(RecordStore):
    """Where a replay writes the records of one letter, or the reason why there are none."""

    def __init__(
        self, database: Database, writers: Mapping[type, Writer], stream: str, entry_id: str
    ) -> None:
        super().__init__(database, writers)
        self._letter = (_LETTERS.stream == stream) & (_LETTERS.entry_id == entry_id)
        self._letter &= _LETTERS.replayed_at.is_(None)
        self.replayed = False
        """Whether the letter has become rows."""

    async def insert(self, records: Sequence[Record]) -> int:
        """Writes records and marks the letter, or keeps the fresh reason of a dead letter.

        Raises:
            LogStoreUnavailable: nothing was written, as far as is known.
            RejectedData: the database refuses at least one of them; nothing was written.
        """
        if not records:
            return 0
        async with self._database.transaction() as connection:
            # Another replay may be at it, or have done it.
            locked = select(_LETTERS.entry_id).where(self._letter).with_for_update()
            if (await connection.execute(locked)).one_or_none() is None:
                return 0
            change = update(DEAD_LETTERS).where(self._letter)
            if records and isinstance(records[0], DeadLetter):
                values = {"reason": records[0].reason, "tried_at": func.clock_timestamp()}
                await connection.execute(change.values(values))
                return 0
            written = await self._write(connection, records)
            if not any(map(_is_incomplete, records)):
                # The payload goes: what it says is where it belongs, and where an erasure finds it.
                values = {"replayed_at": func.clock_timestamp(), "data": b""}
                await connection.execute(change.values(values))
                self.replayed = True
            return written


def _letter(row: Any) -> Letter:
    return Letter(**{field.name: getattr(row, field.name) for field in fields(Letter)})


def _is_incomplete(record: Record) -> bool:
    """Whether a part of the event is still to be read from the letter."""
    return isinstance(record, PredictionRecord) and record.input_unopened


def _matching(wanted: LetterFilter) -> Select[Any]:
    query = select(*_COLUMNS)
    if wanted.stream is not None:
        query = query.where(_LETTERS.stream == wanted.stream)
    if wanted.reason is not None:
        query = query.where(_LETTERS.reason.contains(wanted.reason, autoescape=True))
    if not wanted.replayed:
        query = query.where(_LETTERS.replayed_at.is_(None))
    return query
