"""Redacts what is about people who were erased, and finds out when nothing is left of them.

Every step is a transaction that finds its own work, so that it may be ended at any moment, and
several replicas may be at it at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.database import Database
from prediction_log.domain import Erasure
from prediction_log.erased_letters import ErasedLetters
from prediction_log.erased_subjects import redact_rows
from prediction_log.erasures import COLUMNS
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.event_decoding import ID_TIME_TOLERANCE
from prediction_log.partitions import first_id_at
from prediction_log.tables import ERASURES, PREDICTION_LOGS
from servicekit.stream_groups import entry_order

_log = structlog.get_logger(__name__)
_E = ERASURES.c
_P = PREDICTION_LOGS.c

RUNNING = Gauge("weir_prediction_log_erasures_running", "Erasures that are not complete yet.")
REDACTIONS = Counter(
    "weir_prediction_log_redacted_total", "Predictions redacted because of an erasure."
)


class StreamTails:
    """What the event streams still hold. What is trimmed was acknowledged by every group."""

    def __init__(self, redis: Redis, streams: Sequence[str]) -> None:
        self._redis = redis
        self._streams = streams

    async def are_past(self, moment: datetime) -> bool:
        """Whether no stream holds an entry of that moment or before.

        Raises:
            RedisError: Redis is away.
        """
        for stream in self._streams:
            entries: Any = await self._redis.xrange(stream, count=1)
            for entry_id, _ in entries:
                milliseconds, _ = entry_order(entry_id.decode())
                if milliseconds <= moment.timestamp() * 1000:
                    return False
        return True


class ErasureWork:
    """The chore behind the erasures.

    Args:
        batch: rows in one transaction.
        grace: seconds after a request in which predictions made before it may still come onto the
            streams. They are redacted whenever they come; until then no erasure is complete.
    """

    def __init__(
        self,
        database: Database,
        tails: StreamTails,
        letters: ErasedLetters,
        *,
        batch: int,
        grace: float,
    ) -> None:
        self._database = database
        self._tails = tails
        self._letters = letters
        self._batch = batch
        self._grace = timedelta(seconds=grace)
        self._failure = ""

    async def look(self) -> None:
        """Does what there is to do; a failure is logged once and tried again at the next look."""
        try:
            running = await self._running()
            for erasure in running:
                await self._work_on(erasure)
            RUNNING.set(len(await self._running()) if running else 0)
        except (LogStoreUnavailable, QueryTooSlow, RedisError, OSError) as error:
            if self._failure != type(error).__name__:
                self._failure = type(error).__name__
                _log.warning("erasures_wait", error=self._failure)
            return
        if self._failure:
            self._failure = ""
            _log.info("erasures_go_on")

    async def _running(self) -> list[Erasure]:
        query = select(*COLUMNS).where(_E.completed_at.is_(None)).order_by(_E.id)
        async with self._database.transaction() as connection:
            return [Erasure(*row) for row in await connection.execute(query)]

    async def _work_on(self, erasure: Erasure) -> None:
        # Asked first: a row that comes after the answer cannot be about that time any more.
        settled = await self._tails.are_past(erasure.requested_at + self._grace)
        redacted: int | None = self._batch
        while redacted == self._batch:
            redacted = await self._redact_some(erasure)
        if settled and redacted is not None:
            await self._letters.redact(erasure)
            await self._complete(erasure)

    async def _redact_some(self, erasure: Erasure) -> int | None:
        """Returns how many rows there were, at most a batch; None where another is at it."""
        found = (
            select(_P.id)
            .where(
                _P.tenant == erasure.tenant,
                _P.subject_digest == erasure.subject_digest,
                _P.id < first_id_at(erasure.requested_at + ID_TIME_TOLERANCE),
                _P.predicted_at <= erasure.requested_at,
            )
            .order_by(_P.id)
            .limit(self._batch)
        )
        async with self._database.transaction() as connection:
            if not await _is_ours(connection, erasure):
                return None
            rows = (await connection.execute(found)).scalars().all()
            redacted = await redact_rows(connection, erasure, rows)
        REDACTIONS.inc(redacted)
        return len(rows)

    async def _complete(self, erasure: Erasure) -> None:
        async with self._database.transaction() as connection:
            if not await _is_ours(connection, erasure):
                return
            done = update(ERASURES).where(_E.id == erasure.id).values(completed_at=func.now())
            await connection.execute(done)
        _log.info("erasure_complete", erasure_id=str(erasure.id))


async def _is_ours(connection: AsyncConnection, erasure: Erasure) -> bool:
    """Keeps other replicas from an erasure; False where one of them is at it, or it is complete."""
    ours = (
        select(_E.id)
        .where(_E.id == erasure.id, _E.completed_at.is_(None))
        .with_for_update(skip_locked=True)
    )
    return (await connection.execute(ours)).one_or_none() is not None
