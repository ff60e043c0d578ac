"""Requests into the log's own words, and its answers back."""

from uuid import UUID

from prediction_log.domain import (
    MAX_COMMENT,
    MAX_IDEMPOTENCY_KEY,
    MAX_LABEL,
    MAX_NAME,
    FeedbackRecord,
    InputKeeping,
    LoggedPrediction,
)
from prediction_log.errors import InvalidRequest
from prediction_log.feedback import Opinion
from servicekit.errors import FieldViolation
from servicekit.timestamps import to_timestamp
from weir.predictions.v1 import keeping_pb2, predictions_pb2

_KEEPING = {
    InputKeeping.NOTHING: keeping_pb2.INPUT_KEEPING_NOTHING,
    InputKeeping.ENCRYPTED: keeping_pb2.INPUT_KEEPING_ENCRYPTED,
    InputKeeping.PLAIN: keeping_pb2.INPUT_KEEPING_PLAIN,
}


def invalid(field: str, description: str) -> InvalidRequest:
    """The error about one field."""
    return InvalidRequest(
        f"The field {field} cannot be taken.", violations=[FieldViolation(field, description)]
    )


def identifier_from(field: str, value: str) -> UUID:
    """A UUID in its usual form of 36 characters.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        identifier = UUID(value)
    except ValueError as error:
        raise invalid(field, "is no UUID") from error
    if len(value) != 36:
        raise invalid(field, "is no UUID of 36 characters")
    return identifier


def text_from(field: str, value: str, limit: int = MAX_NAME) -> str | None:
    """A text that the database takes; None when it is empty.

    Raises:
        InvalidRequest: it is too long or holds a NUL character.
    """
    if len(value) > limit:
        raise invalid(field, f"is longer than {limit} characters")
    if "\0" in value:
        raise invalid(field, "holds a NUL character")
    return value or None


def opinion_from(request: predictions_pb2.RecordFeedbackRequest) -> Opinion:
    """What the caller says about the prediction.

    Raises:
        InvalidRequest: a field cannot be taken, or nothing is said.
    """
    score = request.score if request.HasField("score") else None
    # Written so that NaN fails too.
    if score is not None and not 0 <= score <= 1:
        raise invalid("score", "is not between 0 and 1")
    opinion = Opinion(
        correct_label=text_from("correct_label", request.correct_label, MAX_LABEL),
        score=score,
        comment=text_from("comment", request.comment, MAX_COMMENT),
    )
    if opinion == Opinion(None, None, None):
        raise InvalidRequest(
            "The feedback says nothing.",
            violations=[
                FieldViolation(field, "one of correct_label, score and comment is needed")
                for field in ("correct_label", "score", "comment")
            ],
        )
    return opinion


def idempotency_key_from(value: str) -> str | None:
    """The key that makes repeated calls one; None when there is none.

    Raises:
        InvalidRequest: it is too long or holds what cannot be printed.
    """
    key = text_from("idempotency_key", value, MAX_IDEMPOTENCY_KEY)
    if key is not None and not key.isprintable():
        raise invalid("idempotency_key", "holds a character that cannot be printed")
    return key


def to_prediction(logged: LoggedPrediction) -> predictions_pb2.LoggedPrediction:
    """A prediction as the contract has it."""
    record = logged.record
    return predictions_pb2.LoggedPrediction(
        prediction_id=str(record.id),
        predicted_at=to_timestamp(record.predicted_at),
        model=record.model,
        model_version=record.model_version,
        client_id=record.client_id,
        delegate_id=record.delegate_id or "",
        request_id=record.request_id,
        input_sha256=record.input_sha256.hex(),
        input_characters=record.input_characters,
        input_tokens=record.input_tokens,
        label=record.label,
        confidence=record.confidence,
        probabilities=record.probabilities,
        inference_ms=record.inference_ms,
        shadow=record.shadow,
        feedback=to_feedback(logged.feedback) if logged.feedback else None,
        keeping=keeping_pb2.Keeping(input=_KEEPING[InputKeeping(record.input_keeping)]),
        erased=record.erased_at is not None,
    )


def to_feedback(record: FeedbackRecord) -> predictions_pb2.Feedback:
    """One feedback as the contract has it."""
    return predictions_pb2.Feedback(
        feedback_id=str(record.id),
        given_at=to_timestamp(record.given_at),
        client_id=record.client_id,
        correct_label=record.correct_label or "",
        score=record.score,
        comment=record.comment or "",
    )
