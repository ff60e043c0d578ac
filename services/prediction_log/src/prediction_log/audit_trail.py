"""Reads the audit trail page by page, each in a transaction of its own: nobody waits for it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, tuple_

from prediction_log.audit_chain import (
    LOWEST,
    AuditBatch,
    AuditCheckpoint,
    AuditPruning,
    AuditRow,
)
from prediction_log.database import Database
from prediction_log.domain import AuditRecord
from prediction_log.tables import AUDIT_BATCHES, AUDIT_CHECKPOINTS, AUDIT_LOG, AUDIT_PRUNINGS

_BATCH_PAGE = 500
_ROW_PAGE = 5000
_FEW = 100
_RECORD = [field.name for field in fields(AuditRecord)]
_LAST = select(func.coalesce(func.max(AUDIT_BATCHES.c.last_sequence), 0)).scalar_subquery()
_NEWEST = select(func.coalesce(func.max(AUDIT_BATCHES.c.number), 0)).scalar_subquery()
_BATCHES = select(*(AUDIT_BATCHES.c[field.name] for field in fields(AuditBatch)))
_CHECKPOINTS = select(*(AUDIT_CHECKPOINTS.c[field.name] for field in fields(AuditCheckpoint)))
_LAST_PRUNING = (
    select(*(AUDIT_PRUNINGS.c[field.name] for field in fields(AuditPruning)))
    .order_by(AUDIT_PRUNINGS.c.number.desc())
    .limit(1)
)
_OLDEST = select(func.coalesce(func.min(AUDIT_BATCHES.c.number), 0))
_ROWS = select(
    AUDIT_LOG.c.sequence,
    AUDIT_LOG.c.batch,
    AUDIT_LOG.c.recorded_at,
    *(AUDIT_LOG.c[name] for name in _RECORD),
)


class AuditTrail:
    """The stored trail.

    Every method raises LogStoreUnavailable or QueryTooSlow where the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beginning(self) -> tuple[AuditPruning | None, int]:
        """What was said last about what has left, and the number of the oldest batch; 0: none."""
        async with self._database.transaction() as connection:
            # In this order: what leaves meanwhile was spoken of before.
            oldest = await connection.scalar(_OLDEST)
            row = (await connection.execute(_LAST_PRUNING)).one_or_none()
        return AuditPruning(*row) if row else None, oldest or 0

    async def batches(
        self, after: int = LOWEST
    ) -> AsyncIterator[tuple[AuditBatch, Sequence[AuditCheckpoint]]]:
        """Every batch above a number, in order, with the checkpoints at it."""
        number, checkpoints = AUDIT_BATCHES.c.number, AUDIT_CHECKPOINTS.c.number
        while True:
            page = [
                AuditBatch(*row)
                for row in await self._fetch(
                    _BATCHES.where(number > after).order_by(number).limit(_BATCH_PAGE)
                )
            ]
            if not page:
                return
            upto = page[-1].number
            at = checkpoints.between(after + 1, upto)
            signed: dict[int, list[AuditCheckpoint]] = {}
            for row in await self._fetch(_CHECKPOINTS.where(at)):
                checkpoint = AuditCheckpoint(*row)
                signed.setdefault(checkpoint.number, []).append(checkpoint)
            for batch in page:
                yield batch, signed.get(batch.number, [])
            after = upto

    async def rows(self, after: tuple[int, UUID]) -> Sequence[AuditRow]:
        """The next rows that have a place, by place and id; none when there are no more."""
        place = (AUDIT_LOG.c.sequence, AUDIT_LOG.c.id)
        # The first condition is for the index.
        following = (place[0] >= after[0]) & (tuple_(*place) > tuple_(*after))
        return await self._rows(_ROWS.where(following).order_by(*place).limit(_ROW_PAGE))

    async def outside(self, limit: int) -> Sequence[AuditRow]:
        """Rows without a place, or with one behind the last batch's."""
        behind = or_(AUDIT_LOG.c.sequence.is_(None), AUDIT_LOG.c.sequence > _LAST)
        return await self._rows(_ROWS.where(behind).order_by(AUDIT_LOG.c.id).limit(limit))

    async def checkpoints_beyond(self) -> Sequence[AuditCheckpoint]:
        """Checkpoints at batches behind the last one, newest first; the first few."""
        number = AUDIT_CHECKPOINTS.c.number
        beyond = _CHECKPOINTS.where(number > _NEWEST).order_by(number.desc()).limit(_FEW)
        return [AuditCheckpoint(*row) for row in await self._fetch(beyond)]

    async def _rows(self, query: Select[Any]) -> list[AuditRow]:
        return [
            AuditRow(sequence, batch, AuditRecord(*record), recorded_at)
            for sequence, batch, recorded_at, *record in await self._fetch(query)
        ]

    async def _fetch(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        async with self._database.transaction() as connection:
            return [tuple(row) for row in await connection.execute(query)]
