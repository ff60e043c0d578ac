"""Events into rows, and the rules that a value keeps before it may come near the database."""

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

from prediction_log import event_rules as rules
from prediction_log.domain import (
    MAX_CLASS,
    MAX_COMMENT,
    MAX_LABEL,
    MAX_LABELS,
    AuditRecord,
    DeploymentRecord,
    FeedbackRecord,
    InputKeeping,
    MetricRecord,
    PredictionRecord,
    Record,
)
from prediction_log.errors import PoisonEvent
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2
from weir.predictions.v1 import keeping_pb2

ID_TIME_TOLERANCE = timedelta(seconds=1)
"""How far a prediction's moment may lie from the one in its id; queries by time rely on it."""
_KEEPING = {
    keeping_pb2.INPUT_KEEPING_ENCRYPTED: InputKeeping.ENCRYPTED,
    keeping_pb2.INPUT_KEEPING_PLAIN: InputKeeping.PLAIN,
}

Decode = Callable[[Event], Sequence[Record]]


def decode_prediction(event: Event) -> Sequence[PredictionRecord]:
    """The row of a PredictionRecorded.

    Raises:
        PoisonEvent: it can never be one.
    """
    return prediction_records(rules.parse(event, events_pb2.PredictionRecorded()))


def prediction_records(fact: events_pb2.PredictionRecorded) -> Sequence[PredictionRecord]:
    """The row of a fact, whatever way it came.

    Raises:
        PoisonEvent: it can never be one.
    """
    identifier, made_at = rules.timed_identifier("prediction_id", fact.prediction_id)
    predicted_at = rules.moment("predicted_at", fact.predicted_at)
    if abs(predicted_at - made_at) > ID_TIME_TOLERANCE:
        raise PoisonEvent("predicted_at is not the time in prediction_id")
    # Each access to a field makes an object: what is asked for twice is kept.
    given, shares, inference_ms = fact.input, fact.probabilities, fact.inference_ms
    sha256 = given.sha256
    if len(sha256) != 32:
        raise PoisonEvent("input.sha256 is not 32 bytes long")
    label = rules.optional_text("label", fact.label, MAX_LABEL) or ""
    if len(shares) > MAX_LABELS:
        raise PoisonEvent(f"there are more than {MAX_LABELS} probabilities")
    probabilities = {
        # Not items(), which this kind of map makes in Python.
        rules.text("probabilities", key, MAX_LABEL): rules.share("probabilities", shares[key])
        for key in shares
    }
    # A model that does not classify has neither.
    if label not in probabilities and (label or probabilities):
        raise PoisonEvent("label has no probability")
    if not 0 <= inference_ms < math.inf:
        raise PoisonEvent("inference_ms is no duration")
    return [
        PredictionRecord(
            id=identifier,
            predicted_at=predicted_at,
            tenant=rules.text("tenant", fact.tenant),
            client_id=rules.text("client_id", fact.client_id),
            delegate_id=rules.optional_text("delegate_id", fact.delegate_id),
            request_id=rules.optional_text("request_id", fact.request_id) or "",
            model=rules.text("model", fact.model),
            model_version=rules.text("model_version", fact.model_version),
            input_sha256=sha256,
            input_characters=rules.count("input.characters", given.characters),
            input_tokens=rules.count("input.tokens", given.tokens),
            input_unknown_tokens=rules.count("input.unknown_tokens", given.unknown_tokens),
            input_special_tokens=rules.count("input.special_tokens", given.special_tokens),
            label=label,
            confidence=rules.share("confidence", fact.confidence),
            probabilities=probabilities,
            inference_ms=inference_ms,
            shadow=fact.shadow,
            retention_class=_retention_class(fact.keeping.retention_class),
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
    fact = rules.parse(event, events_pb2.FeedbackRecorded())
    return [
        FeedbackRecord(
            id=rules.feedback_id(fact.feedback_id),
            given_at=rules.moment("given_at", fact.given_at),
            prediction_id=rules.identifier("prediction_id", fact.prediction_id),
            tenant=rules.text("tenant", fact.tenant),
            client_id=rules.text("client_id", fact.client_id),
            correct_label=rules.optional_text("correct_label", fact.correct_label, MAX_LABEL),
            score=rules.share("score", fact.score) if fact.HasField("score") else None,
            comment=rules.optional_text("comment", fact.comment, MAX_COMMENT),
        )
    ]


def decode_deployment(event: Event) -> Sequence[DeploymentRecord]:
    """The row of a ModelDeployed.

    Raises:
        PoisonEvent: it can never be one.
    """
    fact = rules.parse(event, events_pb2.ModelDeployed())
    if fact.traffic_percent > 100:
        raise PoisonEvent("traffic_percent is above 100")
    return [
        DeploymentRecord(
            id=rules.identifier("deployment_id", fact.deployment_id),
            deployed_at=rules.moment("deployed_at", fact.deployed_at),
            model=rules.text("model", fact.model),
            model_version=rules.text("model_version", fact.model_version),
            manifest_sha256=rules.text("manifest_sha256", fact.manifest_sha256, 64),
            instance=rules.text("instance", fact.instance),
            traffic_percent=fact.traffic_percent,
        )
    ]


def decode_measurement(event: Event) -> Sequence[MetricRecord]:
    """The rows of a DatasetMeasured, one for each metric.

    Raises:
        PoisonEvent: it can never be any.
    """
    fact = rules.parse(event, events_pb2.DatasetMeasured())
    identifier = rules.identifier("measurement_id", fact.measurement_id)
    measured_at = rules.moment("measured_at", fact.measured_at)
    window_start = rules.moment("window_start", fact.window_start)
    window_end = rules.moment("window_end", fact.window_end)
    return [
        MetricRecord(
            measurement_id=identifier,
            signal=rules.text("metrics.signal", metric.signal),
            statistic=rules.text("metrics.statistic", metric.statistic),
            value=metric.value,
            measured_at=measured_at,
            model=rules.text("model", fact.model),
            model_version=rules.text("model_version", fact.model_version),
            window_start=window_start,
            window_end=window_end,
            rows=rules.count("rows", fact.rows),
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
    fact = rules.parse(event, events_pb2.AuditRecorded())
    if fact.outcome not in _OUTCOMES:
        raise PoisonEvent("outcome is unknown")
    return [
        AuditRecord(
            id=rules.identifier("event_id", fact.event_id),
            occurred_at=rules.moment("occurred_at", fact.occurred_at),
            action=rules.text("action", fact.action),
            outcome=_OUTCOMES[fact.outcome],
            client_id=rules.optional_text("client_id", fact.client_id),
            tenant=rules.optional_text("tenant", fact.tenant),
            client_address=rules.optional_text("client_address", fact.client_address),
            request_id=rules.optional_text("request_id", fact.request_id),
            reason=rules.optional_text("reason", fact.reason),
            target=rules.optional_text("target", fact.target),
        )
    ]


def _retention_class(name: str) -> str:
    """As it is, or what fits of it: a record is never lost over the time that it is kept."""
    return name.replace("\0", "")[:MAX_CLASS]
