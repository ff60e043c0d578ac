"""Ends what has been kept long enough, a little at a time, and again and again."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.retention_classes import RetentionClasses
from prediction_log.retention_plan import Expired, cutoff, expired
from prediction_log.retention_store import RetentionStore

_log = structlog.get_logger(__name__)

DROPPED = Counter(
    "weir_prediction_log_retention_tables_dropped_total",
    "Months, and leaves of months, of predictions that were dropped.",
)
DELETED = Counter(
    "weir_prediction_log_retention_rows_deleted_total",
    "Rows deleted one by one because their time was over.",
    ["table"],
)
WAITING = Gauge(
    "weir_prediction_log_retention_tables_waiting",
    "Months, and leaves of months, whose time was over at the last look and that are still there.",
)
FINISHED = Gauge(
    "weir_prediction_log_retention_finished_timestamp_seconds",
    "When all that had to go was gone for the last time, seconds since the epoch.",
)
_FIRST = UUID(int=0)


class Retention:
    """Drops months and leaves, deletes what lies in leaves of several classes, and dead letters.

    Any number of replicas may do it at the same time: each step finds its work done without
    failing. The rollups of what goes stay; the audit trail has a
    retention of its own.

    Args:
        dead_letter_days: how long dead letters are kept, replayed or not.
        clock: the time in UTC.
    """

    def __init__(
        self,
        store: RetentionStore,
        classes: RetentionClasses,
        dead_letter_days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._classes = classes
        self._dead_letter_days = dead_letter_days
        self._clock = clock

    async def plan(self) -> list[Expired]:
        """What would be dropped now.

        Raises:
            LogStoreUnavailable, QueryTooSlow: nobody can say.
        """
        leaves, _ = await self._store.leaves()
        return expired(leaves, self._classes, self._clock())

    async def look(self) -> None:
        """Does what is to be done. What does not work now is logged and tried the next time."""
        try:
            await self.apply()
        except (LogStoreUnavailable, QueryTooSlow) as error:
            _log.warning("retention_put_off", reason=str(error))

    async def apply(self) -> int:
        """Ends everything whose time is over; returns how many tables could not be taken out.

        Raises:
            LogStoreUnavailable, QueryTooSlow: something is left to do.
        """
        waiting = 0
        for table in await self.plan():
            waiting += not await self._taken_out(table)
        WAITING.set(waiting)
        for gone in await self._store.gone():
            await self._end(gone)
        await self._delete_rows()
        if not waiting:
            FINISHED.set(self._clock().timestamp())
        return waiting

    async def _taken_out(self, table: Expired) -> bool:
        try:
            if await self._store.detach(table.table):
                _log.info(
                    "retention_detached",
                    table=table.table,
                    month_end=table.month_end.isoformat(),
                    rows=table.rows,
                    bytes=table.size,
                )
        except LogStoreUnavailable as error:
            # Somebody reads it, for example; nobody was kept waiting for long.
            _log.warning("retention_put_off", table=table.table, reason=str(error))
            return False
        return True

    async def _end(self, gone: str) -> None:
        """The feedback first: nobody can find its predictions any more."""
        last: UUID | None = _FIRST
        removed = 0
        while last is not None:
            last, number = await self._store.forget_feedback(gone, last)
            removed += number
        DELETED.labels("feedback").inc(removed)
        if await self._store.drop(gone):
            DROPPED.inc()
            _log.info("retention_dropped", table=gone, feedback=removed)

    async def _delete_rows(self) -> None:
        now, classes, store = self._clock(), self._classes, self._store
        befores = {name: cutoff(now, days) for name, days in classes.days.items()}
        otherwise = befores[classes.default]
        _, mixed = await store.leaves()
        for leaf in mixed:
            await _all("prediction_logs", partial(store.delete_rows, leaf, befores, otherwise))
        oldest = cutoff(now, classes.longest)
        # Feedback that came when its prediction was gone already.
        await _all("feedback", partial(store.delete_feedback, oldest))
        letters = now - timedelta(days=self._dead_letter_days)
        await _all("dead_letters", partial(store.delete_dead_letters, letters))


async def _all(table: str, delete_batch: Callable[[], Awaitable[int]]) -> None:
    """Deletes batch after batch, so that no transaction is long."""
    while number := await delete_batch():
        DELETED.labels(table).inc(number)
        _log.info("retention_deleted", table=table, rows=number)
