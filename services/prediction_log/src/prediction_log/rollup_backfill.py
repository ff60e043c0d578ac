"""Counts into the rollups what was in the tables before their triggers, exactly once.

The writers stop for a moment: while none is under way a snapshot is taken that sees every row so
far. These are counted from the snapshot, an hour at a time, while the triggers count what comes
after it. A backfill that broke off begins anew.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.histograms import CONFIDENCE_BINS, LATENCY_BINS

_log = structlog.get_logger(__name__)

_HOUR_MS = 3_600_000
_LAST_ID = 2**128 - 1
_PAUSE = 0.5
_NO_LOCK_IN_TIME = "55P03"

# Whoever waits for another connection's work must not be taken for a forgotten transaction.
_PATIENTLY = text("SET LOCAL idle_in_transaction_session_timeout = 0")
_ALONE = text("LOCK TABLE prediction_rollup_backfill IN SHARE ROW EXCLUSIVE MODE")
_COMPLETED = text("SELECT 1 FROM prediction_rollup_backfill LIMIT 1")
_COMPLETE = text("INSERT INTO prediction_rollup_backfill VALUES (now())")
# Those who wait for a table make others wait behind them.
_BRIEFLY = text("SET LOCAL lock_timeout = '500ms'")
# ONLY: everybody who writes passes through the parent, autovacuum works on its partitions.
_STOP_WRITERS = text("LOCK TABLE ONLY prediction_logs, ONLY feedback IN SHARE ROW EXCLUSIVE MODE")
_BEGIN_ANEW = text("TRUNCATE prediction_rollups, prediction_rollup_labels")
_TAKE_SNAPSHOT = text("SELECT 1")
_NEXT_ID = text("SELECT id FROM prediction_logs WHERE id >= :low ORDER BY id LIMIT 1")
_COUNT = text("""
    SELECT p.tenant, bucket.granularity,
        CASE bucket.granularity
            WHEN 60 THEN rollup_hour(p.predicted_at) ELSE rollup_day(p.predicted_at)
        END AS bucket_start,
        p.model, p.model_version, p.shadow, p.label,
        count(*) AS predictions, sum(p.confidence) AS confidence_sum,
        rollup_histogram(array_agg(rollup_confidence_bin(p.confidence)), :confidence_bins)
            AS confidence_histogram,
        rollup_histogram(array_agg(rollup_latency_bin(p.inference_ms)), :latency_bins)
            AS latency_histogram,
        count(verdict.correct_label) AS labelled,
        count(*) FILTER (WHERE verdict.correct_label = p.label) AS correct
    FROM prediction_logs AS p
    CROSS JOIN (VALUES (60), (1440)) AS bucket (granularity)
    LEFT JOIN LATERAL (
        SELECT f.correct_label FROM feedback AS f
        WHERE f.tenant = p.tenant AND f.prediction_id = p.id AND f.correct_label IS NOT NULL
        ORDER BY f.given_at DESC, f.id DESC LIMIT 1
    ) AS verdict ON true
    WHERE p.id BETWEEN :low AND :high
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
""")
_SHARE = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_ADD = text("""
    INSERT INTO prediction_rollups AS kept VALUES (
        :tenant, :granularity, :bucket_start, :model, :model_version, :shadow, :predictions,
        :confidence_sum, :confidence_histogram, :latency_histogram, :labelled, :correct
    )
    ON CONFLICT ON CONSTRAINT pk_prediction_rollups DO UPDATE SET
        predictions = kept.predictions + excluded.predictions,
        confidence_sum = kept.confidence_sum + excluded.confidence_sum,
        confidence_histogram = rollup_add(kept.confidence_histogram, excluded.confidence_histogram),
        latency_histogram = rollup_add(kept.latency_histogram, excluded.latency_histogram),
        labelled = kept.labelled + excluded.labelled,
        correct = kept.correct + excluded.correct
""")
_ADD_LABELS = text("""
    INSERT INTO prediction_rollup_labels AS kept VALUES (
        :tenant, :granularity, :bucket_start, :model, :model_version, :shadow, :label,
        :predictions, :labelled, :correct
    )
    ON CONFLICT ON CONSTRAINT pk_prediction_rollup_labels DO UPDATE SET
        predictions = kept.predictions + excluded.predictions,
        labelled = kept.labelled + excluded.labelled,
        correct = kept.correct + excluded.correct
""")
_LABELS_COLUMNS = (
    *("tenant", "granularity", "bucket_start", "model", "model_version", "shadow", "label"),
    *("predictions", "labelled", "correct"),
)


async def backfill_rollups(engine: AsyncEngine) -> bool:
    """Counts what the triggers have not; False where that is done already.

    Writers wait for at most half a second before it begins, and not at all afterwards. Of several
    at the same time one works and the others wait for it.
    """
    async with engine.connect() as marker, marker.begin():
        await marker.execute(_PATIENTLY)
        await marker.execute(_ALONE)
        if await marker.scalar(_COMPLETED):
            return False
        async with engine.connect() as reader:
            await reader.execution_options(isolation_level="REPEATABLE READ")
            await _divide_past_from_future(engine, reader)
            async for counts in _counts_of_the_past(reader):
                await _add(engine, counts)
        await marker.execute(_COMPLETE)
    _log.info("rollups_backfilled")
    return True


async def _divide_past_from_future(engine: AsyncEngine, reader: AsyncConnection) -> None:
    """Gives the reader a snapshot of exactly those rows that no trigger will count."""
    while True:
        try:
            async with engine.begin() as connection:
                await connection.execute(_BRIEFLY)
                await connection.execute(_STOP_WRITERS)
                await connection.execute(_BEGIN_ANEW)
                await reader.execute(_PATIENTLY)
                await reader.execute(_TAKE_SNAPSHOT)
                return
        except exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _NO_LOCK_IN_TIME:
                raise
            _log.info("table_is_in_use", reason=str(error.orig))
        await asyncio.sleep(_PAUSE)


async def _counts_of_the_past(reader: AsyncConnection) -> AsyncIterator[list[dict[str, Any]]]:
    """The counts of each hour that has rows."""
    low = 0
    while low <= _LAST_ID:
        found = await reader.scalar(_NEXT_ID, {"low": UUID(int=low)})
        if found is None:
            return
        hours = (found.int >> 80) // _HOUR_MS
        high = min(((hours + 1) * _HOUR_MS << 80) - 1, _LAST_ID)
        counted = await reader.execute(
            _COUNT,
            {
                "low": found,
                "high": UUID(int=high),
                "confidence_bins": CONFIDENCE_BINS,
                "latency_bins": LATENCY_BINS,
            },
        )
        yield [dict(row) for row in counted.mappings()]
        low = high + 1


async def _add(engine: AsyncEngine, counts: list[dict[str, Any]]) -> None:
    async with engine.begin() as connection:
        await connection.execute(_SHARE, {"lock": AdvisoryLock.ROLLUPS})
        labels = [{name: row[name] for name in _LABELS_COLUMNS} for row in counts]
        for row in counts:
            del row["label"]
        await connection.execute(_ADD, counts)
        await connection.execute(_ADD_LABELS, labels)
