"""Finds predictions again: one, or a page of them."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, lateral, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.database import Database
from prediction_log.domain import (
    FeedbackRecord,
    LoggedPrediction,
    Page,
    PredictionFilter,
    PredictionRecord,
)
from prediction_log.prediction_conditions import in_reach, picks_rows, that_match
from prediction_log.tables import FEEDBACK, PREDICTION_LOGS

_P = PREDICTION_LOGS.c
_F = FEEDBACK.c
_UNSEEN = {
    # Not the log's own moment, and nothing private: `input_reader` reads that, one at a time.
    *("recorded_at", "input_unopened"),
    *("subject_digest", "input_text", "input_ciphertext", "input_key_id"),
}
_RECORD = [column for column in PREDICTION_LOGS.columns if column.name not in _UNSEEN]
FEEDBACK_COLUMNS = [column for column in FEEDBACK.columns if column.name != "recorded_at"]
LATEST_FIRST = (_F.given_at.desc(), _F.id.desc())
"""Order of the feedback on one prediction: the first is the one that counts. Ids alone would not
do: one that comes from an idempotency key carries no time."""
_BY_INDEX = text("SET LOCAL enable_seqscan = off")
_FIRST_STRETCH = 2_000
_LONGEST_STRETCH = 50_000
"""Rows that one statement of a search looks at: some ten milliseconds' worth."""
_PATIENCE = 1.0
"""Seconds after which a search answers with what it has found."""


class PredictionQueries:
    """Reads one tenant at a time.

    Every method raises LogStoreUnavailable while the database is away, and QueryTooSlow where more
    matches than can be read in time.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock

    async def find(self, tenant: str, identifier: UUID) -> LoggedPrediction | None:
        """The tenant's prediction of that id."""
        query = _predictions(_P.tenant == tenant, _P.id == identifier, limit=1)
        async with self._database.transaction() as connection:
            found = await _read(connection, query)
        return found[0] if found else None

    async def page(
        self, tenant: str, matching: PredictionFilter, *, after: UUID | None, limit: int
    ) -> Page:
        """At most `limit` predictions, newest first, that are older than the one called `after`.

        Where few rows match, the index is walked in stretches, and after a second the page ends
        with what was found: however rare a match is, no page takes much longer, and each one
        comes nearer to the end.
        """
        conditions = that_match(tenant, matching)
        async with self._database.transaction() as connection:
            if matching.input_sha256 is not None:
                # The planner expects Bloom filters to leave half of the rows; they leave a few.
                await connection.execute(_BY_INDEX)
            if not picks_rows(matching):
                # One more than asked for tells whether there is another page.
                query = _predictions(*conditions, *_older(after), limit=limit + 1)
                return _page(await _read(connection, query), limit, None)
            return await self._search(connection, tenant, matching, after, limit)

    async def _search(
        self,
        connection: AsyncConnection,
        tenant: str,
        matching: PredictionFilter,
        after: UUID | None,
        limit: int,
    ) -> Page:
        conditions = that_match(tenant, matching)
        give_up = self._clock() + _PATIENCE
        stretch = _FIRST_STRETCH
        found: list[LoggedPrediction] = []
        while True:
            reach = [*in_reach(tenant, matching), *_older(after)]
            horizon = await connection.scalar(_horizon(reach, stretch))
            within = [_P.id >= horizon] if horizon else []
            query = _predictions(*conditions, *_older(after), *within, limit=limit + 1 - len(found))
            found += await _read(connection, query)
            if len(found) > limit or horizon is None or self._clock() >= give_up:
                return _page(found, limit, horizon)
            after = horizon
            stretch = min(5 * stretch, _LONGEST_STRETCH)


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[LoggedPrediction]:
    rows = (await connection.execute(query)).mappings().all()
    return [_logged(row) for row in rows]


def _page(found: list[LoggedPrediction], limit: int, horizon: UUID | None) -> Page:
    """A page of what was found, of which the one beyond the limit is left to the next."""
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].record.id)
    return Page(found, horizon)


def _older(than: UUID | None) -> list[ColumnElement[bool]]:
    return [] if than is None else [_P.id < than]


def _horizon(reach: list[ColumnElement[bool]], rows: int) -> Select[Any]:
    """The id of the last of so many rows, from the index alone; none where there are fewer."""
    return select(_P.id).where(*reach).order_by(_P.id.desc()).offset(rows - 1).limit(1)


def _predictions(*conditions: ColumnElement[bool], limit: int) -> Select[Any]:
    found = (
        select(*_RECORD).where(*conditions).order_by(_P.id.desc()).limit(limit).subquery("found")
    )
    latest = lateral(
        select(*(column.label(f"feedback_{column.name}") for column in FEEDBACK_COLUMNS))
        .where(_F.tenant == found.c.tenant, _F.prediction_id == found.c.id)
        .order_by(*LATEST_FIRST)
        .limit(1)
    ).alias("latest")
    both = found.outerjoin(latest, true())
    return select(found, latest).select_from(both).order_by(found.c.id.desc())


def _logged(row: RowMapping) -> LoggedPrediction:
    record = PredictionRecord(**{column.name: row[column.name] for column in _RECORD})
    feedback = None
    if row["feedback_id"] is not None:
        feedback = FeedbackRecord(
            **{column.name: row[f"feedback_{column.name}"] for column in FEEDBACK_COLUMNS}
        )
    return LoggedPrediction(record, feedback)
