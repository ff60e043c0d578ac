"""Monthly partitions of the predictions, bounded by the UUIDv7s of the months' first moments."""

from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import structlog
from sqlalchemy import MetaData, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.database import Database
from prediction_log.domain import LogStoreUnavailable, QueryTooSlow
from prediction_log.tables import PREDICTION_LOGS

_log = structlog.get_logger(__name__)

_PARENT = PREDICTION_LOGS.name


def first_id_at(moment: datetime) -> UUID:
    """The smallest UUIDv7 of that millisecond, or less: no id made later sorts before it."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << 80)


def months_from(moment: datetime, count: int) -> list[datetime]:
    """The starts of the month that holds `moment` and of the `count` - 1 after it, in UTC."""
    moment = moment.astimezone(UTC)
    first = moment.year * 12 + moment.month - 1
    return [
        datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        for month in range(first, first + count)
    ]


async def keep_partitions(database: Database, now: datetime, ahead: int) -> None:
    """Makes what is missing. A failure is only logged: the default partition takes every row."""
    try:
        await make_partitions(database, now, ahead)
    except (LogStoreUnavailable, QueryTooSlow) as error:
        _log.warning("partitions_not_made", reason=str(error))


async def make_partitions(database: Database, now: datetime, ahead: int) -> list[str]:
    """Makes the missing partitions of this month and the `ahead` next; returns their names.

    Rows of such a month that had gone to the default partition move into the new one.

    Raises:
        LogStoreUnavailable: the database is away, or busy with the default partition.
    """
    starts = months_from(now, ahead + 2)
    made = []
    for start, end in pairwise(starts):
        if await _make_partition(database, start, end):
            made.append(_name(start))
            _log.info("partition_made", partition=_name(start))
    return made


def _name(start: datetime) -> str:
    return f"{_PARENT}_y{start:%Ym%m}"


async def _make_partition(database: Database, start: datetime, end: datetime) -> bool:
    name, low, high = _name(start), first_id_at(start), first_id_at(end)
    default = PREDICTION_LOGS.to_metadata(MetaData(), name=f"{_PARENT}_default")
    month = PREDICTION_LOGS.to_metadata(MetaData(), name=name)
    belongs = (default.c.id >= low) & (default.c.id < high)
    async with database.transaction() as connection:
        if await _exists(connection, name):
            return False
        await connection.execute(select(func.pg_advisory_xact_lock(AdvisoryLock.PARTITIONS)))
        if await _exists(connection, name):
            return False
        for statement in (
            # Waiting for longer would make those wait who come after us.
            text("SET LOCAL lock_timeout = '2s'"),
            text(f"LOCK TABLE {default.name} IN ACCESS EXCLUSIVE MODE"),
            # Made apart and attached: `CREATE … PARTITION OF` would lock the whole table, and fail
            # if the default partition holds rows of the month.
            text(f"CREATE TABLE {name} (LIKE {_PARENT} INCLUDING ALL)"),
            insert(month).from_select(month.columns.keys(), select(default).where(belongs)),
            delete(default).where(belongs),
            text(
                f"ALTER TABLE {_PARENT} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{low}') TO ('{high}')"
            ),
        ):
            await connection.execute(statement)
    return True


async def _exists(connection: AsyncConnection, table: str) -> bool:
    # Not to_regclass: it may remember, from before the lock, that there was no such table.
    found = text(
        "SELECT 1 FROM pg_class "
        "WHERE relname = :table AND relnamespace = current_schema::regnamespace"
    )
    return await connection.scalar(found, {"table": table}) is not None
