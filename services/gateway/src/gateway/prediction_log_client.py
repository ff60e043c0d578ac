"""The log of predictions, as the gateway sees it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain import InputKeeping
from gateway.errors import PredictionUnknown
from gateway.feedback_client import given_feedback
from gateway.log_answers import (
    LoggedPrediction,
    LoggedPredictions,
    LoggedPredictionWithText,
)
from gateway.upstream import answer_of, optional_field
from servicekit.errors import NotFound
from servicekit.timestamps import to_timestamp
from weir.predictions.v1 import keeping_pb2, predictions_pb2_grpc
from weir.predictions.v1 import predictions_pb2 as pb

_SERVICE = "prediction_log"
_KEEPING = {
    keeping_pb2.INPUT_KEEPING_ENCRYPTED: InputKeeping.ENCRYPTED,
    keeping_pb2.INPUT_KEEPING_PLAIN: InputKeeping.PLAIN,
}


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
    confidence_from: float | None = None
    """Inclusive."""
    confidence_to: float | None = None
    """Inclusive."""
    shadow: bool | None = None
    input_sha256: str = ""
    """Hex."""
    subject: str = field(default="", repr=False)
    """The person whom the input is about, as the client calls them."""


class PredictionLogClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: predictions_pb2_grpc.PredictionLogServiceAsyncStub = (
            predictions_pb2_grpc.PredictionLogServiceStub(channel)
        )

    async def get(
        self,
        tenant: str,
        prediction_id: UUID,
        *,
        client_id: str,
        client_address: str,
        include_input: bool,
    ) -> LoggedPredictionWithText:
        """One prediction.

        Args:
            client_id: who asks, for the audit trail.
            client_address: from where, for the audit trail.
            include_input: whether its text is wanted, where one is kept.

        Raises:
            PredictionUnknown: the tenant has none of that id.
            ServiceError: the log is away, late or broken.
        """
        request = pb.GetPredictionRequest(
            tenant=tenant,
            prediction_id=str(prediction_id),
            client_id=client_id,
            client_address=client_address,
            include_input=include_input,
        )
        try:
            answer = await answer_of(_SERVICE, self._stub.GetPrediction(request))
        except NotFound as error:
            raise PredictionUnknown("There is no such prediction.") from error
        return LoggedPredictionWithText(
            **_logged(answer.prediction).model_dump(),
            input_text=optional_field(answer.prediction, "input_text"),
        )

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
            tenant=tenant, filter=filter_of(query), limit=limit, cursor=cursor
        )
        answer = await answer_of(_SERVICE, self._stub.ListPredictions(request))
        return LoggedPredictions(
            predictions=[_logged(prediction) for prediction in answer.predictions],
            next_cursor=answer.next_cursor or None,
        )


def filter_of(query: PredictionQuery) -> pb.PredictionFilter:
    """The query as the contract has it."""
    return pb.PredictionFilter(
        model=query.model,
        model_version=query.model_version,
        label=query.label,
        client_id=query.client_id,
        predicted_from=timestamp_of(query.predicted_from),
        predicted_before=timestamp_of(query.predicted_before),
        has_feedback=query.has_feedback,
        confidence_from=query.confidence_from,
        confidence_to=query.confidence_to,
        shadow=query.shadow,
        input_sha256=query.input_sha256,
        subject=query.subject,
    )


def timestamp_of(moment: datetime | None) -> Timestamp | None:
    """A moment as the contract has it."""
    return None if moment is None else to_timestamp(moment.astimezone(UTC))


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
        feedback=given_feedback(message.feedback) if message.HasField("feedback") else None,
        input_keeping=_KEEPING.get(message.keeping.input, InputKeeping.NOTHING).value,
        erased=message.erased,
        shadow=message.shadow,
    )
