"""Everything that matches, oldest first, as a file in pieces, with bounded memory.

The tenant's ids are walked in stretches of so many rows, whether they match or not, so that each
statement is short however few match; every stretch is read whole in a transaction of its own. Who
reads slowly holds up the next stretch and no transaction. The latest feedback comes along.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from prediction_log.database import Database
from prediction_log.domain import ExportFormat, ExportPiece, PredictionFilter
from prediction_log.errors import ExportsBusy, QueryTooSlow
from prediction_log.export_rows import (
    COLUMNS,
    StretchTooLarge,
    feedback_of,
    ids_within,
    read_stretch,
)
from prediction_log.parquet_conversion import ParquetConversion
from prediction_log.partitions import first_id_at
from prediction_log.prediction_conditions import in_reach, that_match
from prediction_log.tables import PREDICTION_LOGS

_P = PREDICTION_LOGS.c
_STRETCH = 10_000
"""Rows."""
_STRETCH_BYTES = 16 * 1024 * 1024
"""Rows that are so long that a stretch makes more, or takes too long, are read in shorter ones."""
CONNECTIONS = 2
"""Of an export: so many stretches are read at the same time."""
_PIECE_BYTES = 512 * 1024
_HEADER = (",".join(COLUMNS) + "\n").encode()
_BEFORE_ALL = UUID(int=0)
_RETRY_AFTER = 5.0


@dataclass(frozen=True, slots=True)
class _Stretch:
    lines: bytes
    rows: int
    until: UUID


@dataclass(frozen=True, slots=True)
class _Reading:
    after: UUID
    until: UUID
    task: asyncio.Task[_Stretch]


class PredictionExport:
    """Makes files of a tenant's predictions.

    Args:
        database: needs CONNECTIONS for each export.
        at_most: exports at the same time.
        now: the moment; what is made later is left out, so that an export of a growing log ends.
    """

    def __init__(self, database: Database, *, at_most: int, now: Callable[[], datetime]) -> None:
        self._database = database
        self._free = at_most
        self._now = now

    async def pieces(
        self,
        tenant: str,
        matching: PredictionFilter,
        file_format: ExportFormat,
        *,
        after: UUID | None,
    ) -> AsyncGenerator[ExportPiece, None]:
        """The file; it is complete when the iterator ends without an error.

        Args:
            after: goes on behind this prediction. A CSV file then has no header, so that it can be
                appended to the one that broke off.

        Raises:
            ExportsBusy: too many exports are running.
            LogStoreUnavailable: the database is away.
            QueryTooSlow: not even a single row could be read in time.
        """
        if not self._free:
            raise ExportsBusy(
                "As many exports are running as are allowed.", retry_after=_RETRY_AFTER
            )
        self._free -= 1
        try:
            walk = _Walk(self._database, tenant, matching, file_format)
            stretches = walk.stretches(after or _BEFORE_ALL, first_id_at(self._now()))
            if file_format is ExportFormat.PARQUET:
                file = _parquet(stretches)
            else:
                headless = file_format is ExportFormat.JSON_LINES or after is not None
                file = _lines(stretches, b"" if headless else _HEADER)
            async with aclosing(stretches), aclosing(file) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._free += 1


async def _lines(
    stretches: AsyncIterator[_Stretch], header: bytes
) -> AsyncGenerator[ExportPiece, None]:
    rows = 0
    last: UUID | None = None
    async for stretch in stretches:
        # Not before there is a stretch: what fails until then is told instead of a file.
        lines, header = header + stretch.lines, b""
        cuts = range(0, max(len(lines), 1), _PIECE_BYTES)
        for start in cuts[:-1]:
            yield ExportPiece(lines[start : start + _PIECE_BYTES], rows, last)
        rows, last = rows + stretch.rows, stretch.until
        yield ExportPiece(lines[cuts[-1] :], rows, last)


async def _parquet(stretches: AsyncIterator[_Stretch]) -> AsyncGenerator[ExportPiece, None]:
    rows = 0
    last: UUID | None = None

    first = await anext(stretches, None)
    # The file's first bytes may be far; that it is being made can be told now.
    yield ExportPiece(b"", rows, last)

    async def lines() -> AsyncIterator[bytes]:
        nonlocal rows, last
        stretch = first
        while stretch is not None:
            yield stretch.lines
            rows, last = rows + stretch.rows, stretch.until
            stretch = await anext(stretches, None)

    async with aclosing(ParquetConversion(lines(), COLUMNS).pieces()) as pieces:
        async for data in pieces:
            yield ExportPiece(data, 0, None)
    yield ExportPiece(b"", rows, last)


class _Walk:
    """One pass over a tenant's ids."""

    def __init__(
        self,
        database: Database,
        tenant: str,
        matching: PredictionFilter,
        file_format: ExportFormat,
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._format = file_format
        self._reach = in_reach(tenant, matching)
        self._conditions = that_match(tenant, matching)
        self._length = _STRETCH

    async def stretches(self, after: UUID, end: UUID) -> AsyncGenerator[_Stretch, None]:
        """Behind `after`, up to `end`, in order; the next ones are read while one is used."""
        readings: deque[_Reading] = deque()
        try:
            while after != end or readings:
                while after != end and len(readings) < CONNECTIONS:
                    until = await self._horizon(after, end)
                    task = asyncio.create_task(self._read(after, until))
                    readings.append(_Reading(after, until, task))
                    after = until
                first = readings.popleft()
                try:
                    stretch = await first.task
                except (StretchTooLarge, QueryTooSlow):
                    if self._length == 1:
                        raise
                    self._length = max(1, self._length // 8)
                    await _abandon(readings)
                    readings.clear()
                    after = first.after
                    continue
                yield stretch
        finally:
            await _abandon(readings)

    async def _horizon(self, after: UUID, end: UUID) -> UUID:
        """Where the next stretch ends, from the index alone."""
        query = (
            select(_P.id)
            .where(*self._reach, *ids_within(_P.id, after, end))
            .order_by(_P.id)
            .offset(self._length - 1)
            .limit(1)
        )
        async with self._database.transaction() as connection:
            found: UUID | None = await connection.scalar(query)
        return found or end

    async def _read(self, after: UUID, until: UUID) -> _Stretch:
        async with self._database.transaction() as connection:
            lines, rows = await read_stretch(
                connection,
                self._format,
                [*self._conditions, *ids_within(_P.id, after, until)],
                feedback_of(self._tenant, after, until),
                most_bytes=_STRETCH_BYTES,
            )
        return _Stretch(lines, rows, until)


async def _abandon(readings: deque[_Reading]) -> None:
    tasks = [reading.task for reading in readings]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
