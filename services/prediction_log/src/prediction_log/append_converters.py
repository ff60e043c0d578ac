"""Records that were made elsewhere into facts, and what became of them back."""

from collections.abc import Mapping

from prediction_log.appending import Appended
from servicekit.request_context import Principal
from weir.events.v1 import events_pb2
from weir.predictions.v1 import keeping_pb2, predictions_pb2

_CLAIMED = {
    "encrypted": keeping_pb2.INPUT_KEEPING_ENCRYPTED,
    "plain": keeping_pb2.INPUT_KEEPING_PLAIN,
}


def keeping_claimed(caller: Principal) -> keeping_pb2.Keeping:
    """How the caller's token says that its records are kept: the log's default without a claim."""
    claim = caller.claims.get("keeping")
    if not isinstance(claim, Mapping):
        return keeping_pb2.Keeping()
    retention_class = claim.get("retention_class", "")
    return keeping_pb2.Keeping(
        input=_CLAIMED.get(str(claim.get("input")), keeping_pb2.INPUT_KEEPING_NOTHING),
        retention_class=retention_class if isinstance(retention_class, str) else "",
    )


def appended_fact(
    record: predictions_pb2.AppendRecord, caller: Principal, keeping: keeping_pb2.Keeping
) -> events_pb2.PredictionRecorded:
    """The fact that a record tells; whether it keeps the rules is for the log to find."""
    return events_pb2.PredictionRecorded(
        prediction_id=record.prediction_id,
        predicted_at=record.predicted_at,
        model=record.model,
        model_version=record.model_version,
        tenant=caller.tenant,
        client_id=caller.client_id,
        request_id=record.request_id,
        input=events_pb2.InputFacts(
            sha256=record.input_sha256,
            characters=record.input_characters,
            tokens=record.input_tokens,
            unknown_tokens=record.input_unknown_tokens,
            special_tokens=record.input_special_tokens,
        ),
        label=record.label,
        confidence=record.probabilities.get(record.label, 0.0),
        probabilities=record.probabilities,
        inference_ms=record.inference_ms,
        shadow=record.shadow,
        keeping=keeping,
    )


def to_append_response(appended: Appended) -> predictions_pb2.AppendResponse:
    """What became of the records as the contract has it."""
    return predictions_pb2.AppendResponse(
        accepted=appended.accepted,
        rejected=appended.rejected,
        rejections=[
            predictions_pb2.AppendRejection(index=each.index, reason=each.reason)
            for each in appended.rejections
        ],
    )
