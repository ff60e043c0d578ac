"""Sees to it that an answer is on record before it leaves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import Counter

from inference.domain import Prediction
from servicekit.event_stream import EventPublisher, EventStreamUnavailable
from weir.events.v1 import events_pb2

_log = structlog.get_logger(__name__)

UNLOGGED = Counter(
    "weir_inference_unlogged_total", "Predictions that were answered without being recorded."
)


class Recorder:
    """Publishes predictions as facts.

    Args:
        when_away: what a failure to publish means: `block` raises it, `serve_unlogged` marks the
            predictions and counts them.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        stream: str,
        when_away: Literal["block", "serve_unlogged"],
    ) -> None:
        self._publisher = publisher
        self._stream = stream
        self._when_away = when_away

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Returns the predictions once all of them are on the stream.

        Raises:
            EventStreamUnavailable: they are not, and the policy is to block.
        """
        try:
            await self._publisher.publish(self._stream, [_event(each) for each in predictions])
        except EventStreamUnavailable:
            if self._when_away == "block":
                raise
            UNLOGGED.inc(len(predictions))
            _log.error("served_unlogged", predictions=len(predictions))
            return [replace(prediction, unlogged=True) for prediction in predictions]
        return predictions


def _event(prediction: Prediction) -> events_pb2.PredictionRecorded:
    item, scored = prediction.item, prediction.scored
    predicted_at = Timestamp()
    predicted_at.FromDatetime(prediction.predicted_at)
    return events_pb2.PredictionRecorded(
        prediction_id=str(prediction.prediction_id),
        predicted_at=predicted_at,
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
        ),
        label=prediction.label,
        confidence=prediction.confidence,
        probabilities=scored.probabilities,
        inference_ms=scored.milliseconds,
    )
