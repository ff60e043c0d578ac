"""Sees to it that an answer is on record before it leaves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import structlog
from prometheus_client import Counter

from inference.domain import (
    Fault,
    InputKeeping,
    Item,
    Keeping,
    Prediction,
    Projection,
    Rejection,
    SealingKeyMissing,
    WatchedValues,
)
from inference.sealing import InputSealer
from servicekit.event_stream import EventPublisher, EventStreamUnavailable
from servicekit.telemetry import current_trace_id
from servicekit.timestamps import to_timestamp
from weir.events.v1 import events_pb2
from weir.predictions.v1 import keeping_pb2

_log = structlog.get_logger(__name__)

UNLOGGED = Counter(
    "weir_inference_unlogged_total", "Predictions that were answered without being recorded."
)

_NOTHING = Keeping()
_UNWATCHED = WatchedValues({}, (), {})
_NO_KEY = Rejection(
    Fault.SEALING_KEY_MISSING,
    "The prediction cannot be recorded: the service has no key to seal its input with.",
    retry_after=10.0,
)
_KEEPING = {
    InputKeeping.NOTHING: keeping_pb2.INPUT_KEEPING_NOTHING,
    InputKeeping.ENCRYPTED: keeping_pb2.INPUT_KEEPING_ENCRYPTED,
    InputKeeping.PLAIN: keeping_pb2.INPUT_KEEPING_PLAIN,
}


class Recorder:
    """Publishes predictions as facts.

    Args:
        when_away: what a failure to publish means: `block` raises it, `serve_unlogged` marks the
            predictions and counts them.
        sealer: None where the replica has no key for private parts.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        stream: str,
        when_away: Literal["block", "serve_unlogged"],
        sealer: InputSealer | None = None,
    ) -> None:
        self._publisher = publisher
        self._sealer = sealer
        self._stream = stream
        self._when_away = when_away

    def refusal(self, item: Item) -> Rejection | None:
        """Why a prediction could not be recorded as its tenant wants it; None if it could."""
        return _NO_KEY if self._sealer is None and item.is_private else None

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Returns the predictions once all of them are on the stream.

        Raises:
            EventStreamUnavailable: they are not, and the policy is to block.
        """
        sealed = await self._seal(predictions)
        events = [_event(each, part) for each, part in zip(predictions, sealed, strict=True)]
        try:
            await self._publisher.publish(
                self._stream, events, traceparents=_traceparents(predictions)
            )
        except EventStreamUnavailable:
            if self._when_away == "block":
                raise
            UNLOGGED.inc(len(predictions))
            _log.error("served_unlogged", predictions=len(predictions))
            return [replace(prediction, unlogged=True) for prediction in predictions]
        return predictions

    async def _seal(self, predictions: Sequence[Prediction]) -> list[bytes]:
        if self._sealer is None:
            if any(prediction.item.is_private for prediction in predictions):
                raise SealingKeyMissing(_NO_KEY.message, retry_after=_NO_KEY.retry_after)
            return [b""] * len(predictions)
        return await self._sealer.seal(predictions)


def _traceparents(predictions: Sequence[Prediction]) -> list[str]:
    """Each item's own trace; empty for those that the call's own spans belong to."""
    trace_id = current_trace_id()
    stated = [prediction.item.traceparent for prediction in predictions]
    return ["" if trace_id and trace_id in each else each for each in stated]


def _event(prediction: Prediction, sealed_input: bytes) -> events_pb2.PredictionRecorded:
    item, scored = prediction.item, prediction.scored
    watched = scored.watched or _UNWATCHED
    return events_pb2.PredictionRecorded(
        prediction_id=str(prediction.prediction_id),
        predicted_at=to_timestamp(prediction.predicted_at),
        model=prediction.model,
        model_version=prediction.model_version,
        tenant=item.caller.tenant,
        client_id=item.caller.client_id,
        delegate_id=item.caller.delegate_id,
        request_id=item.request_id,
        input=events_pb2.InputFacts(
            sha256=scored.facts.sha256,
            characters=scored.facts.characters,
            tokens=scored.facts.tokens,
            unknown_tokens=scored.facts.unknown_tokens,
            special_tokens=scored.facts.special_tokens,
            letters=scored.facts.letters,
        ),
        label=prediction.label,
        confidence=prediction.confidence,
        probabilities=scored.probabilities,
        inference_ms=scored.milliseconds,
        shadow=prediction.shadow,
        keeping=None if item.keeping == _NOTHING else _keeping(item.keeping),
        sealed_input=sealed_input,
        cached=scored.cached,
        projection=_projection(scored.projection),
        features=watched.features,
        features_out_of_range=watched.out_of_range,
        predicted_values=watched.predicted,
    )


def _projection(projection: Projection | None) -> events_pb2.Projection | None:
    if projection is None:
        return None
    return events_pb2.Projection(values=projection.values, scale=projection.scale)


def _keeping(keeping: Keeping) -> keeping_pb2.Keeping:
    return keeping_pb2.Keeping(
        input=_KEEPING[keeping.input], retention_class=keeping.retention_class
    )
