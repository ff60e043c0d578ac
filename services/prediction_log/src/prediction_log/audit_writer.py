"""Adds to the audit trail: rows and the batch that chains them, in one transaction."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from sqlalchemy import ARRAY, Uuid, any_, bindparam, exc, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.audit_chain import (
    MAX_BATCH_ROWS,
    AuditBatch,
    AuditRow,
    ChainHead,
    head_of,
    next_batch,
)
from prediction_log.database import driver_connection
from prediction_log.domain import AuditRecord
from prediction_log.errors import LogStoreUnavailable, RejectedData
from prediction_log.tables import AUDIT_BATCHES, AUDIT_LOG

_RECORD = [field.name for field in fields(AuditRecord)]
_BATCH = [field.name for field in fields(AuditBatch)]
_COLUMNS = ["sequence", "batch", "recorded_at", *_RECORD]
_HEAD = (
    select(AUDIT_BATCHES.c.number, AUDIT_BATCHES.c.last_sequence, AUDIT_BATCHES.c.sha256)
    .order_by(AUDIT_BATCHES.c.number.desc())
    .limit(1)
)
# One parameter however many there are, so that the statement stays the same.
_KNOWN = select(AUDIT_LOG.c.id).where(AUDIT_LOG.c.id == any_(bindparam("ids", type_=ARRAY(Uuid()))))


class AuditWriter:
    """Writes audit records; those that the trail has already stay one row."""

    async def write(self, connection: AsyncConnection, records: Sequence[AuditRecord]) -> int:
        """Returns how many were not there before.

        Until the transaction ends nobody else adds to the chain.

        Raises:
            RejectedData: a value does not fit its column.
            LogStoreUnavailable: somebody else added to the chain at the same time.
        """
        await connection.execute(select(func.pg_advisory_xact_lock(AdvisoryLock.AUDIT_CHAIN)))
        new = await _without_known(connection, records)
        if not new:
            return 0
        head = await chain_head(connection)
        # When it was written, not when the transaction began: it may have waited for its turn.
        now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        for start in range(0, len(new), MAX_BATCH_ROWS):
            head = await add_batch(connection, head, new[start : start + MAX_BATCH_ROWS], now)
        return len(new)


async def chain_head(connection: AsyncConnection) -> ChainHead:
    """Where the chain ends, as the transaction sees it."""
    row = (await connection.execute(_HEAD)).one_or_none()
    return ChainHead(*row) if row else ChainHead()


async def _without_known(
    connection: AsyncConnection, records: Sequence[AuditRecord]
) -> list[AuditRecord]:
    """Each new record once, the earliest first."""
    by_id = {record.id: record for record in records}
    for identifier in (await connection.execute(_KNOWN, {"ids": list(by_id)})).scalars():
        del by_id[identifier]
    return [by_id[identifier] for identifier in sorted(by_id)]


async def add_batch(
    connection: AsyncConnection, head: ChainHead, records: Sequence[AuditRecord], now: datetime
) -> ChainHead:
    """Adds one batch behind the head; returns the new head.

    Raises:
        RejectedData, LogStoreUnavailable: as `AuditWriter.write` does.
    """
    try:
        batch, rows = next_batch(head, records, now)
        await connection.execute(
            insert(AUDIT_BATCHES), {name: getattr(batch, name) for name in _BATCH}
        )
        raw = await driver_connection(connection)
        await raw.copy_records_to_table(
            AUDIT_LOG.name, records=[_values(row) for row in rows], columns=_COLUMNS
        )
    except exc.IntegrityError as error:
        # The number is taken: our view of the chain is old, which is no fault of the records.
        raise LogStoreUnavailable("the audit chain's end has moved") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise RejectedData("a value does not fit its column") from error
    return head_of(batch)


def _values(row: AuditRow) -> tuple[object, ...]:
    record = (getattr(row.record, name) for name in _RECORD)
    return (row.sequence, row.batch, row.recorded_at, *record)
