"""The log of predictions, as the gateway sees it: the only importer of its stubs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain import PredictionUnknown
from gateway.log_answers import (
    GivenFeedback,
    LoggedPrediction,
    LoggedPredictions,
    PredictionStats,
)
from gateway.upstream import answer_of
from servicekit.errors import NotFound
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

_SERVICE = "prediction_log"


@dataclass(frozen=True, slots=True)
class PredictionQuery:
    """What is set must match; what is empty matches everything."""

    model: str = ""
    model_version: str = ""
    label: str = ""
    client_id: str = ""
    predicted_from: datetime | None = None
    """Inclusive."""
    predicted_before: datetime | None = None
    """Exclusive."""
    has_feedback: bool | None = None


class PredictionLogClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: predictions_pb2_grpc.PredictionLogServiceAsyncStub = (
            predictions_pb2_grpc.PredictionLogServiceStub(channel)
        )

    async def get(self, tenant: str, prediction_id: UUID) -> LoggedPrediction:
        """One prediction.

        Raises:
            PredictionUnknown: the tenant has none of that id.
            ServiceError: the log is away, late or broken.
        """
        request = pb.GetPredictionRequest(tenant=tenant, prediction_id=str(prediction_id))
        try:
            answer = await answer_of(_SERVICE, self._stub.GetPrediction(request))
        except NotFound as error:
            raise PredictionUnknown("There is no such prediction.") from error
        return _logged(answer.prediction)

    async def list_page(
        self, tenant: str, query: PredictionQuery, *, limit: int, cursor: str
    ) -> LoggedPredictions:
        """A page of the predictions that match, newest first.

        Args:
            limit: 0 takes the log's default.
            cursor: `next_cursor` of the page before; empty for the first.

        Raises:
            InvalidInput: the cursor, or something else, is none that the log gave out.
            ServiceError: the log is away, late or broken.
        """
        request = pb.ListPredictionsRequest(
            tenant=tenant, filter=_filter(query), limit=limit, cursor=cursor
        )
        answer = await answer_of(_SERVICE, self._stub.ListPredictions(request))
        return LoggedPredictions(
            predictions=[_logged(prediction) for prediction in answer.predictions],
            next_cursor=answer.next_cursor or None,
        )

    async def stats(self, tenant: str, query: PredictionQuery) -> PredictionStats:
        """Counts and quantiles of the predictions that match.

        Raises:
            ServiceError: the log is away, late or broken.
        """
        request = pb.GetStatsRequest(tenant=tenant, filter=_filter(query))
        answer = await answer_of(_SERVICE, self._stub.GetStats(request))
        return PredictionStats(
            predictions=answer.predictions,
            labels=dict(answer.labels),
            mean_confidence=_given(answer, "mean_confidence"),
            inference_ms_p50=_given(answer, "inference_ms_p50"),
            inference_ms_p95=_given(answer, "inference_ms_p95"),
            inference_ms_p99=_given(answer, "inference_ms_p99"),
            labelled=answer.labelled,
            accuracy=_given(answer, "accuracy"),
        )

    async def record_feedback(
        self,
        tenant: str,
        client_id: str,
        prediction_id: UUID,
        *,
        correct_label: str,
        score: float | None,
        comment: str,
    ) -> str:
        """Takes feedback; returns its id.

        Raises:
            PredictionUnknown: the tenant has no such prediction.
            InvalidInput: the model does not know the label.
            ServiceError: the log or the event stream is away, late or broken.
        """
        request = pb.RecordFeedbackRequest(
            tenant=tenant,
            client_id=client_id,
            prediction_id=str(prediction_id),
            correct_label=correct_label,
            score=score,
            comment=comment,
        )
        try:
            answer = await answer_of(_SERVICE, self._stub.RecordFeedback(request))
        except NotFound as error:
            raise PredictionUnknown("There is no such prediction.") from error
        return answer.feedback_id


def _filter(query: PredictionQuery) -> pb.PredictionFilter:
    return pb.PredictionFilter(
        model=query.model,
        model_version=query.model_version,
        label=query.label,
        client_id=query.client_id,
        predicted_from=_timestamp(query.predicted_from),
        predicted_before=_timestamp(query.predicted_before),
        has_feedback=query.has_feedback,
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def _logged(message: pb.LoggedPrediction) -> LoggedPrediction:
    return LoggedPrediction(
        prediction_id=message.prediction_id,
        predicted_at=message.predicted_at.ToDatetime(UTC),
        model=message.model,
        model_version=message.model_version,
        client_id=message.client_id,
        delegate_id=message.delegate_id or None,
        request_id=message.request_id,
        input_sha256=message.input_sha256,
        input_characters=message.input_characters,
        input_tokens=message.input_tokens,
        label=message.label,
        confidence=message.confidence,
        probabilities=dict(message.probabilities),
        inference_ms=message.inference_ms,
        feedback=_feedback(message.feedback) if message.HasField("feedback") else None,
    )


def _feedback(message: pb.Feedback) -> GivenFeedback:
    return GivenFeedback(
        feedback_id=message.feedback_id,
        given_at=message.given_at.ToDatetime(UTC),
        client_id=message.client_id,
        correct_label=message.correct_label or None,
        score=_given(message, "score"),
        comment=message.comment or None,
    )


def _given(message: Message, name: str) -> Any:
    """The value of an optional field; None when it is absent."""
    return getattr(message, name) if message.HasField(name) else None
