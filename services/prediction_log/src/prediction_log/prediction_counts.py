"""Counts predictions row by row: exactly, or into the bins of the rollups."""

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Select, cast, func, select, true
from sqlalchemy.dialects.postgresql import array, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.domain import PredictionFilter, PredictionStats
from prediction_log.event_decoding import ID_TIME_TOLERANCE
from prediction_log.histograms import CONFIDENCE_BINS, LATENCY_BINS
from prediction_log.partitions import first_id_at
from prediction_log.prediction_conditions import that_match
from prediction_log.prediction_queries import LATEST_FIRST
from prediction_log.tables import FEEDBACK, PREDICTION_LOGS
from prediction_log.tally import Tally

_P = PREDICTION_LOGS.c
_F = FEEDBACK.c
_QUANTILES = [0.5, 0.95, 0.99]


async def count_exactly(
    connection: AsyncConnection, tenant: str, matching: PredictionFilter
) -> PredictionStats:
    """Numbers over all that match, with exact quantiles."""
    row = (await connection.execute(_counted(tenant, matching))).one()
    p50, p95, p99 = row.quantiles or [None] * len(_QUANTILES)
    return PredictionStats(
        predictions=row.predictions,
        labels=row.labels or {},
        mean_confidence=row.mean_confidence,
        inference_ms_p50=p50,
        inference_ms_p95=p95,
        inference_ms_p99=p99,
        labelled=row.labelled,
        correct=row.correct,
    )


async def count_into(
    tally: Tally, connection: AsyncConnection, tenant: str, matching: PredictionFilter
) -> None:
    """Adds all that match to the tally, as the rollups would have counted them."""
    row = (await connection.execute(_binned(tenant, matching))).one()
    tally.add(
        row.predictions,
        row.confidence_sum,
        row.confidences,
        row.latencies,
        row.labelled,
        row.correct,
    )
    tally.labels.update(row.labels or {})


def _counted(tenant: str, matching: PredictionFilter) -> Select[Any]:
    matched = _matched(tenant, matching)
    exactly = func.percentile_cont(array(_QUANTILES)).within_group(matched.c.inference_ms)
    return _with_judgements(
        tenant,
        matching,
        matched,
        func.count().label("predictions"),
        func.avg(matched.c.confidence).label("mean_confidence"),
        exactly.label("quantiles"),
    )


def _binned(tenant: str, matching: PredictionFilter) -> Select[Any]:
    """As the rollups count: the functions are those that fill them."""
    matched = _matched(tenant, matching)
    confidences = func.array_agg(func.rollup_confidence_bin(matched.c.confidence))
    latencies = func.array_agg(func.rollup_latency_bin(matched.c.inference_ms))
    return _with_judgements(
        tenant,
        matching,
        matched,
        func.count().label("predictions"),
        func.coalesce(func.sum(matched.c.confidence), 0.0).label("confidence_sum"),
        _histogram(confidences, CONFIDENCE_BINS).label("confidences"),
        _histogram(latencies, LATENCY_BINS).label("latencies"),
    )


def _histogram(positions: ColumnElement[Any], bins: int) -> ColumnElement[Any]:
    # Of no rows the aggregate is null.
    return func.rollup_histogram(func.coalesce(positions, cast(array([]), ARRAY(Integer))), bins)


def _matched(tenant: str, matching: PredictionFilter) -> Any:
    return (
        select(_P.id, _P.label, _P.confidence, _P.inference_ms)
        .where(*that_match(tenant, matching))
        .cte("matched")
    )


def _with_judgements(
    tenant: str, matching: PredictionFilter, matched: Any, *measures: ColumnElement[Any]
) -> Select[Any]:
    """The measures, then `labelled`, `correct` and `labels`."""
    corrected = (
        select(_F.prediction_id, _F.correct_label)
        .where(*_feedback_near(tenant, matching), _F.correct_label.is_not(None))
        .ext(distinct_on(_F.prediction_id))
        .order_by(_F.prediction_id, *LATEST_FIRST)
        .subquery()
    )
    judged = (
        select(
            func.count().label("labelled"),
            func.count().filter(corrected.c.correct_label == matched.c.label).label("correct"),
        )
        .select_from(matched.join(corrected, corrected.c.prediction_id == matched.c.id))
        .subquery()
    )
    counted = (
        select(matched.c.label, func.count().label("number")).group_by(matched.c.label).subquery()
    )
    labels = select(func.jsonb_object_agg(counted.c.label, counted.c.number)).scalar_subquery()
    overall = select(*measures).select_from(matched).subquery()
    both = overall.join(judged, true())
    return select(overall, judged, labels.label("labels")).select_from(both)


def _feedback_near(tenant: str, matching: PredictionFilter) -> list[ColumnElement[bool]]:
    """At least the feedback on what matches: ids carry the time."""
    conditions = [_F.tenant == tenant]
    if matching.predicted_from is not None:
        first = first_id_at(matching.predicted_from - ID_TIME_TOLERANCE)
        conditions.append(_F.prediction_id >= first)
    if matching.predicted_before is not None:
        last = first_id_at(matching.predicted_before + ID_TIME_TOLERANCE)
        conditions.append(_F.prediction_id < last)
    return conditions
