"""Events into rows, and the rules that a value keeps before it may come near the database."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from prediction_log.domain import (
    MAX_COMMENT,
    MAX_COUNT,
    MAX_LABEL,
    MAX_LABELS,
    MAX_NAME,
    AuditRecord,
    DeploymentRecord,
    FeedbackRecord,
    InputKeeping,
    MetricRecord,
    PoisonEvent,
    PredictionRecord,
    Record,
)
from servicekit.event_stream import Event
from servicekit.identifiers import time_of
from weir.events.v1 import events_pb2
from weir.predictions.v1 import keeping_pb2

ID_TIME_TOLERANCE = timedelta(seconds=1)
"""How far a prediction's moment may lie from the one in its id; queries by time rely on it."""
_ROUNDING = 1e-6
"""A softmax in float32 may sum to a little more than 1."""

_KEEPING = {
    keeping_pb2.INPUT_KEEPING_ENCRYPTED: InputKeeping.ENCRYPTED,
    keeping_pb2.INPUT_KEEPING_PLAIN: InputKeeping.PLAIN,
}

MessageT = TypeVar("MessageT", bound=Message)
Decode = Callable[[Event], Sequence[Record]]


def decode_prediction(event: Event) -> Sequence[PredictionRecord]:
    """The row of a PredictionRecorded.

    Raises:
        PoisonEvent: it can never be one.
    """
    return prediction_records(_parse(event, events_pb2.PredictionRecorded()))


def prediction_records(fact: events_pb2.PredictionRecorded) -> Sequence[PredictionRecord]:
    """The row of a fact, whatever way it came.

    Raises:
        PoisonEvent: it can never be one.
    """
    identifier = _identifier("prediction_id", fact.prediction_id)
    predicted_at = _moment("predicted_at", fact.predicted_at)
    if abs(predicted_at - time_of(identifier)) > ID_TIME_TOLERANCE:
        raise PoisonEvent("predicted_at is not the time in prediction_id")
    if len(fact.input.sha256) != 32:
        raise PoisonEvent("input.sha256 is not 32 bytes long")
    label = _text("label", fact.label, MAX_LABEL)
    if len(fact.probabilities) > MAX_LABELS:
        raise PoisonEvent(f"there are more than {MAX_LABELS} probabilities")
    probabilities = {
        _text("probabilities", key, MAX_LABEL): _share("probabilities", value)
        for key, value in fact.probabilities.items()
    }
    if label not in probabilities:
        raise PoisonEvent("label has no probability")
    if not (math.isfinite(fact.inference_ms) and fact.inference_ms >= 0):
        raise PoisonEvent("inference_ms is no duration")
    return [
        PredictionRecord(
            id=identifier,
            predicted_at=predicted_at,
            tenant=_text("tenant", fact.tenant),
            client_id=_text("client_id", fact.client_id),
            delegate_id=_optional("delegate_id", fact.delegate_id),
            request_id=_optional("request_id", fact.request_id) or "",
            model=_text("model", fact.model),
            model_version=_text("model_version", fact.model_version),
            input_sha256=fact.input.sha256,
            input_characters=_count("input.characters", fact.input.characters),
            input_tokens=_count("input.tokens", fact.input.tokens),
            input_unknown_tokens=_count("input.unknown_tokens", fact.input.unknown_tokens),
            input_special_tokens=_count("input.special_tokens", fact.input.special_tokens),
            label=label,
            confidence=_share("confidence", fact.confidence),
            probabilities=probabilities,
            inference_ms=fact.inference_ms,
            shadow=fact.shadow,
            # A policy that this version does not know keeps nothing.
            input_keeping=_KEEPING.get(fact.keeping.input, InputKeeping.NOTHING),
            input_unopened=bool(fact.sealed_input),
        )
    ]


def decode_feedback(event: Event) -> Sequence[FeedbackRecord]:
    """The row of a FeedbackRecorded.

    Raises:
        PoisonEvent: it can never be one.
    """
    fact = _parse(event, events_pb2.FeedbackRecorded())
    return [
        FeedbackRecord(
            id=_feedback_id(fact.feedback_id),
            given_at=_moment("given_at", fact.given_at),
            prediction_id=_identifier("prediction_id", fact.prediction_id),
            tenant=_text("tenant", fact.tenant),
            client_id=_text("client_id", fact.client_id),
            correct_label=_optional("correct_label", fact.correct_label, MAX_LABEL),
            score=_share("score", fact.score) if fact.HasField("score") else None,
            comment=_optional("comment", fact.comment, MAX_COMMENT),
        )
    ]


def decode_deployment(event: Event) -> Sequence[DeploymentRecord]:
    """The row of a ModelDeployed.

    Raises:
        PoisonEvent: it can never be one.
    """
    fact = _parse(event, events_pb2.ModelDeployed())
    if fact.traffic_percent > 100:
        raise PoisonEvent("traffic_percent is above 100")
    return [
        DeploymentRecord(
            id=_identifier("deployment_id", fact.deployment_id),
            deployed_at=_moment("deployed_at", fact.deployed_at),
            model=_text("model", fact.model),
            model_version=_text("model_version", fact.model_version),
            manifest_sha256=_text("manifest_sha256", fact.manifest_sha256, 64),
            instance=_text("instance", fact.instance),
            traffic_percent=fact.traffic_percent,
        )
    ]


def decode_measurement(event: Event) -> Sequence[MetricRecord]:
    """The rows of a DatasetMeasured, one for each metric.

    Raises:
        PoisonEvent: it can never be any.
    """
    fact = _parse(event, events_pb2.DatasetMeasured())
    identifier = _identifier("measurement_id", fact.measurement_id)
    measured_at = _moment("measured_at", fact.measured_at)
    window_start = _moment("window_start", fact.window_start)
    window_end = _moment("window_end", fact.window_end)
    return [
        MetricRecord(
            measurement_id=identifier,
            signal=_text("metrics.signal", metric.signal),
            statistic=_text("metrics.statistic", metric.statistic),
            value=metric.value,
            measured_at=measured_at,
            model=_text("model", fact.model),
            model_version=_text("model_version", fact.model_version),
            window_start=window_start,
            window_end=window_end,
            rows=_count("rows", fact.rows),
        )
        for metric in fact.metrics
    ]


_OUTCOMES = {
    events_pb2.AUDIT_OUTCOME_ALLOWED: "allowed",
    events_pb2.AUDIT_OUTCOME_REFUSED: "refused",
}


def decode_audit(event: Event) -> Sequence[AuditRecord]:
    """The row of an AuditRecorded.

    Raises:
        PoisonEvent: it can never be one.
    """
    fact = _parse(event, events_pb2.AuditRecorded())
    if fact.outcome not in _OUTCOMES:
        raise PoisonEvent("outcome is unknown")
    return [
        AuditRecord(
            id=_identifier("event_id", fact.event_id),
            occurred_at=_moment("occurred_at", fact.occurred_at),
            action=_text("action", fact.action),
            outcome=_OUTCOMES[fact.outcome],
            client_id=_optional("client_id", fact.client_id),
            tenant=_optional("tenant", fact.tenant),
            client_address=_optional("client_address", fact.client_address),
            request_id=_optional("request_id", fact.request_id),
            reason=_optional("reason", fact.reason),
            target=_optional("target", fact.target),
        )
    ]


def _parse(event: Event, message: MessageT) -> MessageT:
    expected = message.DESCRIPTOR.full_name
    if event.type_name != expected:
        raise PoisonEvent(f"the type is not {expected}")
    try:
        message.ParseFromString(event.data)
    except DecodeError as error:
        raise PoisonEvent(f"the bytes are no {expected}") from error
    return message


def _identifier(field: str, value: str) -> UUID:
    try:
        identifier = UUID(value)
        time_of(identifier)
    except (ValueError, OverflowError) as error:
        raise PoisonEvent(f"{field} is no UUIDv7") from error
    return identifier


def _feedback_id(value: str) -> UUID:
    """By its time, or by the idempotency key that it was given under."""
    try:
        identifier = UUID(value)
    except ValueError as error:
        raise PoisonEvent("feedback_id is no UUID") from error
    if identifier.version not in (7, 8):
        raise PoisonEvent("feedback_id is no UUIDv7 and no UUIDv8")
    return identifier


def _moment(field: str, value: Timestamp) -> datetime:
    try:
        moment = value.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise PoisonEvent(f"{field} is out of range") from error
    if not value.ByteSize():
        raise PoisonEvent(f"{field} is missing")
    return moment


def _text(field: str, value: str, limit: int = MAX_NAME) -> str:
    if not value:
        raise PoisonEvent(f"{field} is empty")
    if len(value) > limit:
        raise PoisonEvent(f"{field} is longer than {limit} characters")
    if "\0" in value:
        raise PoisonEvent(f"{field} holds a NUL character")
    return value


def _optional(field: str, value: str, limit: int = MAX_NAME) -> str | None:
    return _text(field, value, limit) if value else None


def _share(field: str, value: float) -> float:
    # Written so that NaN fails too.
    if not 0 <= value <= 1 + _ROUNDING:
        raise PoisonEvent(f"{field} is not between 0 and 1")
    return value


def _count(field: str, value: int) -> int:
    if value > MAX_COUNT:
        raise PoisonEvent(f"{field} is out of range")
    return value
