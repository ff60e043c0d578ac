"""Between the event contracts and the domain."""

import math
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from drift.domain import FeedbackFacts, ModelVersion, PredictionFacts, is_name
from drift.measurement import Measurement
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2

_LONGEST_LABEL = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MessageT = TypeVar("MessageT", bound=Message)


class EventInvalid(ValueError):
    """An event makes no sense; the message is one of a few codes."""


def to_prediction(event: Event) -> PredictionFacts | None:
    """What is watched of a PredictionRecorded; None if its model does not classify.

    Raises:
        EventInvalid: it is none, or its numbers cannot be true.
    """
    recorded = _parse(event, events_pb2.PredictionRecorded())
    about = _model_version(recorded.model, recorded.model_version)
    predicted_at = _predicted_at(recorded)
    if not recorded.label and not recorded.probabilities:
        return None
    facts = recorded.input
    text_tokens = facts.tokens - facts.special_tokens
    if text_tokens < 0 or facts.unknown_tokens > text_tokens:
        raise EventInvalid("tokens")
    if not math.isfinite(recorded.confidence) or not 0 <= recorded.confidence <= 1:
        raise EventInvalid("confidence")
    return PredictionFacts(
        about=about,
        predicted_at=predicted_at,
        input_tokens=facts.tokens,
        text_tokens=text_tokens,
        unknown_tokens=facts.unknown_tokens,
        label=_label(recorded.label),
        confidence=recorded.confidence,
    )


def to_feedback(event: Event) -> FeedbackFacts | None:
    """What is counted of a FeedbackRecorded; None if it names no correct label.

    Raises:
        EventInvalid: it is none, or lacks what it is about.
    """
    recorded = _parse(event, events_pb2.FeedbackRecorded())
    about = _model_version(recorded.model, recorded.model_version)
    if not recorded.correct_label:
        return None
    return FeedbackFacts(about, recorded.correct_label == _label(recorded.predicted_label))


def from_measurement(measurement: Measurement) -> events_pb2.DatasetMeasured:
    """The event that tells of a closed window."""
    measured = events_pb2.DatasetMeasured(
        measurement_id=str(measurement.measurement_id),
        model=measurement.about.model,
        model_version=measurement.about.version,
        rows=measurement.rows,
        metrics=[
            events_pb2.Metric(signal=metric.signal, statistic=metric.statistic, value=metric.value)
            for metric in measurement.metrics
        ],
    )
    measured.measured_at.FromDatetime(measurement.measured_at)
    measured.window_start.FromDatetime(measurement.window_start)
    measured.window_end.FromDatetime(measurement.window_end)
    return measured


def _parse(event: Event, into: MessageT) -> MessageT:
    if event.type_name != into.DESCRIPTOR.full_name:
        raise EventInvalid("type")
    try:
        into.ParseFromString(event.data)
    except DecodeError:
        raise EventInvalid("undecodable") from None
    return into


def _model_version(model: str, version: str) -> ModelVersion:
    if not is_name(model) or not is_name(version):
        raise EventInvalid("name")
    return ModelVersion(model, version)


def _label(label: str) -> str:
    if not 0 < len(label) <= _LONGEST_LABEL:
        raise EventInvalid("label")
    return label


def _predicted_at(recorded: events_pb2.PredictionRecorded) -> datetime:
    try:
        moment = recorded.predicted_at.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise EventInvalid("time") from None
    # An absent time reads as the epoch.
    if moment <= _EPOCH:
        raise EventInvalid("time")
    return moment
