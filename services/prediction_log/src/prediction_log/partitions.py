"""Monthly partitions of the predictions, bounded by the UUIDv7s of the months' first moments.

Each month has a leaf for every retention class and one for all others. The database's function
makes them: it may what the service may not.
"""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy import Date, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.database import Database
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.retention_classes import CLASSES, UNNAMED, RetentionClasses

_log = structlog.get_logger(__name__)

_MAKE = text("SELECT weir_make_month(:first_day, :leaves)").bindparams(
    bindparam("first_day", type_=Date), bindparam("leaves", type_=JSONB)
)


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


async def keep_partitions(
    database: Database, now: datetime, ahead: int, classes: RetentionClasses = CLASSES
) -> None:
    """Makes what is missing. A failure is only logged: the default partition takes every row."""
    try:
        await make_partitions(database, now, ahead, classes)
    except (LogStoreUnavailable, QueryTooSlow) as error:
        _log.warning("partitions_not_made", reason=str(error))


async def make_partitions(
    database: Database, now: datetime, ahead: int, classes: RetentionClasses = CLASSES
) -> list[str]:
    """Makes this month and the `ahead` next, and their leaves of classes; returns what it made.

    Rows of such a month, or class, that had gone to a default partition move into the new one.

    Raises:
        LogStoreUnavailable: the database is away, or busy with a default partition.
    """
    made: list[str] = []
    for start in months_from(now, ahead + 1):
        async with database.transaction() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(AdvisoryLock.PARTITIONS)))
            parameters = {"first_day": start.date(), "leaves": _leaves(classes)}
            names: list[str] = (await connection.execute(_MAKE, parameters)).scalar_one()
        for name in names:
            _log.info("partition_made", partition=name)
        made += names
    return made


def _leaves(classes: RetentionClasses) -> dict[str, list[str]]:
    """The classes of each leaf: events that name none lie with the default class."""
    return {
        name: [name, UNNAMED] if name == classes.default else [name]
        for name in sorted(classes.days)
    }
