"""Between the event contracts and the domain."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from drift.domain import FeedbackFacts, ModelVersion, PredictionFacts, Projection, is_name
from drift.measurement import Measurement
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2

_LONGEST_LABEL = 100
_MOST_SCRIPTS = 64
_MOST_DIMENSIONS = 256
_MOST_FEATURES = 256
_ROUNDING = 1e-6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799
"""Seconds from the epoch to the end of the year 9999, where datetime and Timestamp end."""
NumberT = TypeVar("NumberT", int, float)
MessageT = TypeVar("MessageT", bound=Message)


class EventInvalid(ValueError):
    """An event makes no sense; the message is one of a few codes."""


def to_prediction(event: Event) -> PredictionFacts | None:
    """What is watched of a PredictionRecorded; None if nothing of it is.

    Raises:
        EventInvalid: it is none, or its numbers cannot be true.
    """
    recorded = _parse(event, events_pb2.PredictionRecorded())
    about = _model_version(recorded.model, recorded.model_version)
    predicted_at = _predicted_at(recorded)
    classifies = bool(recorded.label or recorded.probabilities)
    if not classifies and not recorded.features and not recorded.predicted_values:
        return None
    facts = recorded.input
    text_tokens = facts.tokens - facts.special_tokens
    if text_tokens < 0 or facts.unknown_tokens > text_tokens:
        raise EventInvalid("tokens")
    if not _is_share(recorded.confidence):
        raise EventInvalid("confidence")
    probabilities = tuple(_plain(recorded.probabilities).values())
    if not all(map(_is_share, probabilities)):
        raise EventInvalid("probabilities")
    features, predicted = _plain(recorded.features), _plain(recorded.predicted_values)
    if features or predicted:
        if not all(0 < len(name) <= _LONGEST_LABEL for name in (*features, *predicted)):
            raise EventInvalid("features")
        if max(len(features), len(predicted)) > _MOST_FEATURES:
            raise EventInvalid("features")
    return PredictionFacts(
        about=about,
        predicted_at=predicted_at,
        input_tokens=facts.tokens,
        text_tokens=text_tokens,
        unknown_tokens=facts.unknown_tokens,
        label=_label(recorded.label) if classifies else "",
        confidence=min(recorded.confidence, 1.0),
        prediction_id=recorded.prediction_id,
        tenant=recorded.tenant,
        input_sha256=facts.sha256,
        letters=_letters(facts),
        probabilities=probabilities,
        milliseconds=_milliseconds(recorded),
        projection=_projection(recorded),
        features=features,
        out_of_range=frozenset(recorded.features_out_of_range),
        predicted_values=predicted,
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
    return FeedbackFacts(
        about,
        recorded.correct_label == _label(recorded.predicted_label),
        recorded.confidence if _is_share(recorded.confidence) else math.nan,
        recorded.tenant,
    )


def from_measurement(measurement: Measurement) -> events_pb2.DatasetMeasured:
    """The event that tells of a closed window."""
    measured = events_pb2.DatasetMeasured(
        measurement_id=str(measurement.measurement_id),
        model=measurement.of.about.model,
        model_version=measurement.of.about.version,
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


def _plain(values: Mapping[str, NumberT]) -> dict[str, NumberT]:
    """A map of protobuf; its own views are written in Python and take thrice the time."""
    return {name: values[name] for name in values} if values else {}


def _letters(facts: events_pb2.InputFacts) -> dict[str, int]:
    letters = _plain(facts.letters)
    if 0 in letters.values():
        letters = {script: count for script, count in letters.items() if count}
    if len(letters) > _MOST_SCRIPTS or not all(0 < len(name) <= _LONGEST_LABEL for name in letters):
        raise EventInvalid("letters")
    return letters


def _projection(recorded: events_pb2.PredictionRecorded) -> Projection | None:
    if not recorded.HasField("projection") or not recorded.projection.values:
        return None
    values, scale = recorded.projection.values, recorded.projection.scale
    if len(values) > _MOST_DIMENSIONS or not math.isfinite(scale) or scale < 0:
        raise EventInvalid("projection")
    return Projection(values, scale)


def _milliseconds(recorded: events_pb2.PredictionRecorded) -> float | None:
    """None for what was not timed: an answer from the cache, or a model that ran elsewhere."""
    if recorded.cached or not recorded.inference_ms > 0:
        return None
    return recorded.inference_ms


def _is_share(value: float) -> bool:
    """Written so that NaN is none; a softmax in float32 may be a little above 1."""
    return 0 <= value <= 1 + _ROUNDING


def _predicted_at(recorded: events_pb2.PredictionRecorded) -> datetime:
    seconds, nanos = recorded.predicted_at.seconds, recorded.predicted_at.nanos
    # An absent time reads as the epoch.
    if not 0 <= seconds <= _LATEST or not 0 <= nanos < 1_000_000_000 or not (seconds or nanos):
        raise EventInvalid("time")
    # Timestamp's own conversion takes five times as long.
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
