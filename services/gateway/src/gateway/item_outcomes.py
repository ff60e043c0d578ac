"""What inference says about each item of a request, as the request's one answer."""

from collections.abc import Sequence
from typing import NoReturn

from gateway.errors import UpstreamFailed
from servicekit.errors import DeadlineExceeded, FieldViolation, InvalidInput, Unavailable
from weir.inference.v1 import inference_pb2 as pb


def predicted(outcomes: Sequence[pb.ItemOutcome], fields: Sequence[str]) -> list[pb.Prediction]:
    """The predictions, if every item has one: a request is answered whole or not at all.

    Args:
        fields: what each item is called in the request.

    Raises:
        InvalidInput: the model will not take some of the items, and which.
        UpstreamFailed: the model failed, or inference answered with too few.
        Unavailable: inference is full, or could not record it.
        DeadlineExceeded: the answer would have come too late.
    """
    if len(outcomes) != len(fields):
        raise UpstreamFailed("inference failed.", reason="INFERENCE_FAILED")
    if any(outcome.HasField("error") for outcome in outcomes):
        _refuse(outcomes, fields)
    return [outcome.prediction for outcome in outcomes]


def _refuse(outcomes: Sequence[pb.ItemOutcome], fields: Sequence[str]) -> NoReturn:
    errors = {
        field: outcome.error
        for field, outcome in zip(fields, outcomes, strict=True)
        if outcome.HasField("error")
    }
    by_reason = {error.reason: error for error in errors.values()}
    wrong = {field: error for field, error in errors.items() if error.reason not in _NOT_INPUT}
    if wrong:
        raise InvalidInput(
            "The input cannot be predicted.",
            violations=[FieldViolation(field, error.message) for field, error in wrong.items()],
        )
    # What no later try mends comes first.
    if pb.ITEM_ERROR_REASON_MODEL_FAILED in by_reason:
        raise UpstreamFailed("The model failed.", reason="MODEL_FAILED")
    for reason, code in _AWAY.items():
        if error := by_reason.get(reason):
            after = error.retry_after.ToNanoseconds() / 1e9
            raise Unavailable(error.message, reason=code, retry_after=after or 1.0)
    raise DeadlineExceeded(
        "inference did not answer in time.", reason="INFERENCE_DEADLINE_EXCEEDED"
    )


_AWAY = {
    pb.ITEM_ERROR_REASON_SEALING_KEY_MISSING: "SEALING_KEY_MISSING",
    pb.ITEM_ERROR_REASON_SATURATED: "SATURATED",
}
_NOT_INPUT = frozenset(
    {
        *_AWAY,
        pb.ITEM_ERROR_REASON_MODEL_FAILED,
        pb.ITEM_ERROR_REASON_DEADLINE_EXCEEDED,
    }
)
