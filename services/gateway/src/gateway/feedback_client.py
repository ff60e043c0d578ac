"""The log's feedback, as the gateway sees it."""

from datetime import UTC
from uuid import UUID

import grpc

from gateway.errors import PredictionUnknown
from gateway.log_answers import FeedbackHistory, GivenFeedback
from gateway.request_errors import IdempotencyKeyReused
from gateway.upstream import answer_of, optional_field
from servicekit.errors import Conflict, FieldViolation, NotFound
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

_SERVICE = "prediction_log"


class FeedbackClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: predictions_pb2_grpc.PredictionLogServiceAsyncStub = (
            predictions_pb2_grpc.PredictionLogServiceStub(channel)
        )

    async def record(
        self,
        tenant: str,
        client_id: str,
        prediction_id: UUID,
        *,
        correct_label: str,
        score: float | None,
        comment: str,
        idempotency_key: str,
    ) -> str:
        """Takes feedback; returns its id.

        Args:
            idempotency_key: makes repeated calls one; empty for none.

        Raises:
            PredictionUnknown: the tenant has no such prediction.
            IdempotencyKeyReused: the key stands for other feedback.
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
            idempotency_key=idempotency_key,
        )
        try:
            answer = await answer_of(_SERVICE, self._stub.RecordFeedback(request))
        except NotFound as error:
            raise PredictionUnknown("There is no such prediction.") from error
        except Conflict as error:
            raise IdempotencyKeyReused(
                "Other feedback was given under the same Idempotency-Key.",
                violations=[FieldViolation("Idempotency-Key", "stands for other feedback already")],
            ) from error
        return answer.feedback_id

    async def history(
        self, tenant: str, prediction_id: UUID, *, limit: int, cursor: str
    ) -> FeedbackHistory:
        """A page of the feedback on a prediction, newest first.

        Args:
            cursor: `next_cursor` of the page before; empty for the first.

        Raises:
            PredictionUnknown: the tenant has no such prediction.
            InvalidInput: the cursor is none that the log gave out for it.
            ServiceError: the log is away, late or broken.
        """
        request = pb.ListFeedbackRequest(
            tenant=tenant, prediction_id=str(prediction_id), limit=limit, cursor=cursor
        )
        try:
            answer = await answer_of(_SERVICE, self._stub.ListFeedback(request))
        except NotFound as error:
            raise PredictionUnknown("There is no such prediction.") from error
        return FeedbackHistory(
            feedback=[given_feedback(each) for each in answer.feedback],
            next_cursor=answer.next_cursor or None,
        )


def given_feedback(message: pb.Feedback) -> GivenFeedback:
    """One feedback as the API shows it."""
    return GivenFeedback(
        feedback_id=message.feedback_id,
        given_at=message.given_at.ToDatetime(UTC),
        client_id=message.client_id,
        correct_label=message.correct_label or None,
        score=optional_field(message, "score"),
        comment=message.comment or None,
    )
