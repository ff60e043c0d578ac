"""Finds predictions again: one, a page of them, or numbers about them."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    exists,
    func,
    lateral,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import array, distinct_on

from prediction_log.database import Database
from prediction_log.domain import (
    FeedbackRecord,
    LoggedPrediction,
    PredictionFilter,
    PredictionRecord,
    PredictionStats,
)
from prediction_log.event_decoding import ID_TIME_TOLERANCE
from prediction_log.partitions import first_id_at
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
_QUANTILES = [0.5, 0.95, 0.99]


class PredictionQueries:
    """Reads one tenant at a time.

    Every method raises LogStoreUnavailable while the database is away, and QueryTooSlow where more
    matches than can be read in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str, identifier: UUID) -> LoggedPrediction | None:
        """The tenant's prediction of that id."""
        found = await self._read(_predictions(_P.tenant == tenant, _P.id == identifier, limit=1))
        return found[0] if found else None

    async def page(
        self, tenant: str, matching: PredictionFilter, *, after: UUID | None, limit: int
    ) -> list[LoggedPrediction]:
        """At most `limit` predictions, newest first, that are older than the one called `after`."""
        conditions = _conditions(tenant, matching)
        if after is not None:
            conditions.append(_P.id < after)
        return await self._read(_predictions(*conditions, limit=limit))

    async def stats(self, tenant: str, matching: PredictionFilter) -> PredictionStats:
        """Numbers over all that match, as of one moment."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(_stats(tenant, matching))).mappings().one()
        quantiles = row["quantiles"] or [None] * len(_QUANTILES)
        return PredictionStats(
            predictions=row["predictions"],
            labels=row["labels"] or {},
            mean_confidence=row["mean_confidence"],
            inference_ms_p50=quantiles[0],
            inference_ms_p95=quantiles[1],
            inference_ms_p99=quantiles[2],
            labelled=row["labelled"],
            correct=row["correct"],
        )

    async def _read(self, query: Select[Any]) -> list[LoggedPrediction]:
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_logged(row) for row in rows]


def _conditions(tenant: str, matching: PredictionFilter) -> list[ColumnElement[bool]]:
    conditions = [_P.tenant == tenant]
    for column, value in (
        (_P.model, matching.model),
        (_P.model_version, matching.model_version),
        (_P.label, matching.label),
        (_P.client_id, matching.client_id),
        (_P.subject_digest, matching.subject_digest),
    ):
        if value is not None:
            conditions.append(column == value)
    # The ids carry the time, so a range of them picks partitions and a stretch of the index.
    if (start := matching.predicted_from) is not None:
        conditions += [_P.predicted_at >= start, _P.id >= first_id_at(start - ID_TIME_TOLERANCE)]
    if (end := matching.predicted_before) is not None:
        conditions += [_P.predicted_at < end, _P.id < first_id_at(end + ID_TIME_TOLERANCE)]
    if matching.has_feedback is not None:
        given = exists().where(_F.tenant == _P.tenant, _F.prediction_id == _P.id)
        conditions.append(given if matching.has_feedback else ~given)
    return conditions


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


def _stats(tenant: str, matching: PredictionFilter) -> Select[Any]:
    matched = (
        select(_P.id, _P.label, _P.confidence, _P.inference_ms)
        .where(*_conditions(tenant, matching))
        .cte("matched")
    )
    counted = (
        select(matched.c.label, func.count().label("number")).group_by(matched.c.label).subquery()
    )
    corrected = (
        select(_F.prediction_id, _F.correct_label)
        .where(_F.tenant == tenant, _F.correct_label.is_not(None))
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
    overall = (
        select(
            func.count().label("predictions"),
            func.avg(matched.c.confidence).label("mean_confidence"),
            func.percentile_cont(array(_QUANTILES))
            .within_group(matched.c.inference_ms)
            .label("quantiles"),
        )
        .select_from(matched)
        .subquery()
    )
    labels = select(func.jsonb_object_agg(counted.c.label, counted.c.number)).scalar_subquery()
    both = overall.join(judged, true())
    return select(overall, judged, labels.label("labels")).select_from(both)


def _logged(row: RowMapping) -> LoggedPrediction:
    record = PredictionRecord(**{column.name: row[column.name] for column in _RECORD})
    feedback = None
    if row["feedback_id"] is not None:
        feedback = FeedbackRecord(
            **{column.name: row[f"feedback_{column.name}"] for column in FEEDBACK_COLUMNS}
        )
    return LoggedPrediction(record, feedback)
