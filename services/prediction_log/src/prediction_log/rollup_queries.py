"""Reads the rollups: counts by hour and day that the database keeps itself."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.domain import PredictionFilter
from prediction_log.rollup_spans import Granularity, Span
from prediction_log.tables import (
    PREDICTION_ROLLUP_BACKFILL,
    PREDICTION_ROLLUP_LABELS,
    PREDICTION_ROLLUPS,
)
from prediction_log.tally import Tally

_R = PREDICTION_ROLLUPS.c
_L = PREDICTION_ROLLUP_LABELS.c
_COUNTS = (
    _R.predictions,
    _R.confidence_sum,
    _R.confidence_histogram,
    _R.latency_histogram,
    _R.labelled,
    _R.correct,
)
_AT_A_STRETCH = 500
"""Rows that are added up, in some milliseconds, before others get their turn."""
Buckets = Sequence[tuple[Granularity, Span]]


async def are_complete(connection: AsyncConnection) -> bool:
    """Whether what was there before the rollups is counted in them."""
    done = await connection.scalar(select(PREDICTION_ROLLUP_BACKFILL.c.completed_at).limit(1))
    return done is not None


async def add_rollups(
    tally: Tally,
    connection: AsyncConnection,
    tenant: str,
    matching: PredictionFilter,
    buckets: Buckets,
) -> None:
    """Adds the buckets to the tally.

    Args:
        matching: its model, version and shadow count; the time is that of the buckets.
    """
    rollups = select(*_COUNTS).where(*_conditions(_R, tenant, matching, buckets))
    for row in await connection.execute(rollups):
        tally.add(*tuple(row))
    labels = (
        select(_L.label, func.sum(_L.predictions))
        .where(*_conditions(_L, tenant, matching, buckets))
        .group_by(_L.label)
    )
    for label, predictions in await connection.execute(labels):
        tally.labels[label] += int(predictions)


class Line(NamedTuple):
    """What one bucket of a series is about."""

    start: datetime
    model: str
    """Empty, as is the version, where they are taken together."""
    model_version: str


async def tally_lines(
    connection: AsyncConnection,
    tenant: str,
    matching: PredictionFilter,
    buckets: Buckets,
    *,
    apart: bool,
    most_rows: int,
) -> dict[Line, Tally] | None:
    """A tally for each bucket in which there is something, oldest first.

    Args:
        apart: one for each model and version.
        most_rows: of the rollups and of their labels; None is returned where there are more.
    """
    together = literal("").label("model"), literal("").label("model_version")
    names = (_R.model, _R.model_version) if apart else together
    rollups = (
        select(_R.bucket_start, *names, *_COUNTS)
        .where(*_conditions(_R, tenant, matching, buckets))
        .order_by(_R.bucket_start, _R.model, _R.model_version)
        .limit(most_rows + 1)
    )
    tallies: defaultdict[Line, Tally] = defaultdict(Tally)
    rows: Sequence[Any] = (await connection.execute(rollups)).all()
    for number, row in enumerate(rows):
        tallies[Line(*row[:3])].add(*row[3:])
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    names = (_L.model, _L.model_version) if apart else together
    grouped = (_L.bucket_start, *(names if apart else ()), _L.label)
    labels = (
        select(_L.bucket_start, *names, _L.label, func.sum(_L.predictions))
        .where(*_conditions(_L, tenant, matching, buckets))
        .group_by(*grouped)
        .limit(most_rows + 1)
    )
    label_rows: Sequence[Any] = (await connection.execute(labels)).all()
    if max(len(rows), len(label_rows)) > most_rows:
        return None
    for start, model, version, label, predictions in label_rows:
        tallies[Line(start, model, version)].labels[label] += int(predictions)
    return dict(tallies)


def _conditions(
    columns: Any, tenant: str, matching: PredictionFilter, buckets: Buckets
) -> list[ColumnElement[bool]]:
    conditions = [columns.tenant == tenant]
    for column, value in (
        (columns.model, matching.model),
        (columns.model_version, matching.model_version),
        (columns.shadow, matching.shadow),
    ):
        if value is not None:
            conditions.append(column == value)
    return [*conditions, or_(*(_within(columns, *part) for part in buckets))]


def _within(columns: Any, granularity: Granularity, span: Span) -> ColumnElement[bool]:
    conditions = [columns.granularity == int(granularity)]
    if span.start is not None:
        conditions.append(columns.bucket_start >= span.start)
    if span.end is not None:
        conditions.append(columns.bucket_start < span.end)
    return and_(*conditions)
