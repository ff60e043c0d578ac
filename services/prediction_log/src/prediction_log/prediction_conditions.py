"""A filter as conditions on the table of predictions."""

from sqlalchemy import ColumnElement, exists

from prediction_log.domain import PredictionFilter
from prediction_log.event_decoding import ID_TIME_TOLERANCE
from prediction_log.partitions import first_id_at
from prediction_log.tables import FEEDBACK, PREDICTION_LOGS

_P = PREDICTION_LOGS.c
_F = FEEDBACK.c


def in_reach(tenant: str, matching: PredictionFilter) -> list[ColumnElement[bool]]:
    """The tenant and the stretch of its ids where what matches can lie; an index answers it alone.

    The ids carry the time, so a range of time picks partitions and a stretch of the index.
    """
    conditions = [_P.tenant == tenant]
    if (start := matching.predicted_from) is not None:
        conditions.append(_P.id >= first_id_at(start - ID_TIME_TOLERANCE))
    if (end := matching.predicted_before) is not None:
        conditions.append(_P.id < first_id_at(end + ID_TIME_TOLERANCE))
    return conditions


def that_match(tenant: str, matching: PredictionFilter) -> list[ColumnElement[bool]]:
    """All conditions of the filter, for the tenant's rows."""
    conditions = in_reach(tenant, matching)
    if matching.predicted_from is not None:
        conditions.append(_P.predicted_at >= matching.predicted_from)
    if matching.predicted_before is not None:
        conditions.append(_P.predicted_at < matching.predicted_before)
    return conditions + _on_rows(matching)


def picks_rows(matching: PredictionFilter) -> bool:
    """Whether a page may be far to find: it leaves out rows in its reach, and no index tells which.

    Subjects and inputs have indexes of their own.
    """
    indexed = (matching.subject_digest, matching.input_sha256)
    return indexed == (None, None) and bool(_on_rows(matching))


def _on_rows(matching: PredictionFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (_P.model, matching.model),
            (_P.model_version, matching.model_version),
            (_P.label, matching.label),
            (_P.client_id, matching.client_id),
            (_P.shadow, matching.shadow),
            (_P.input_sha256, matching.input_sha256),
            (_P.subject_digest, matching.subject_digest),
        )
        if value is not None
    ]
    if matching.confidence_from is not None:
        conditions.append(_P.confidence >= matching.confidence_from)
    if matching.confidence_to is not None:
        conditions.append(_P.confidence <= matching.confidence_to)
    if matching.has_feedback is not None:
        given = exists().where(_F.tenant == _P.tenant, _F.prediction_id == _P.id)
        conditions.append(given if matching.has_feedback else ~given)
    return conditions
