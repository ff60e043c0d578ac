"""Between the inference contract and the domain."""

import time
from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from inference.domain import (
    Caller,
    DelegationDenied,
    Fault,
    FeatureValue,
    InputKeeping,
    Item,
    Keeping,
    KeepingInvalid,
    Outcome,
    Prediction,
)
from inference.model_repository import ModelStatus, VersionState
from servicekit.request_context import Principal
from weir.inference.v1 import inference_pb2 as pb
from weir.predictions.v1 import keeping_pb2

DELEGATION_SCOPE = "delegate"
MAX_RETENTION_CLASS = 32
"""Characters; the log takes no longer name."""

_REASONS = {
    Fault.INPUT_MISSING: pb.ITEM_ERROR_REASON_INPUT_MISSING,
    Fault.INPUT_KIND: pb.ITEM_ERROR_REASON_INPUT_KIND,
    Fault.TEXT_BLANK: pb.ITEM_ERROR_REASON_TEXT_BLANK,
    Fault.TEXT_TOO_LONG: pb.ITEM_ERROR_REASON_TEXT_TOO_LONG,
    Fault.TEXT_INVALID: pb.ITEM_ERROR_REASON_TEXT_INVALID,
    Fault.SUBJECT_INVALID: pb.ITEM_ERROR_REASON_SUBJECT_INVALID,
    Fault.SATURATED: pb.ITEM_ERROR_REASON_SATURATED,
    Fault.DEADLINE_EXCEEDED: pb.ITEM_ERROR_REASON_DEADLINE_EXCEEDED,
    Fault.SEALING_KEY_MISSING: pb.ITEM_ERROR_REASON_SEALING_KEY_MISSING,
    Fault.TENSORS_INVALID: pb.ITEM_ERROR_REASON_TENSORS_INVALID,
    Fault.MODEL_FAILED: pb.ITEM_ERROR_REASON_MODEL_FAILED,
}
_STATES = {
    VersionState.LOADING: pb.MODEL_VERSION_STATE_LOADING,
    VersionState.READY: pb.MODEL_VERSION_STATE_READY,
    VersionState.UNAVAILABLE: pb.MODEL_VERSION_STATE_UNAVAILABLE,
}
_KEEPING = {
    keeping_pb2.INPUT_KEEPING_ENCRYPTED: InputKeeping.ENCRYPTED,
    keeping_pb2.INPUT_KEEPING_PLAIN: InputKeeping.PLAIN,
}
_CLAIMED = {"encrypted": InputKeeping.ENCRYPTED, "plain": InputKeeping.PLAIN}


def to_item(
    item: pb.PredictItem, principal: Principal, request_id: str, deadline: float | None = None
) -> Item:
    """One item with the identity that its prediction is recorded under.

    Args:
        deadline: the call's, by `time.monotonic`; the item may have an earlier one.

    Raises:
        DelegationDenied: it states a caller or a keeping that the token may not speak for.
        KeepingInvalid: the keeping that it states is none.
    """
    caller = _caller(item, principal)
    return Item(
        text=item.text if item.WhichOneof("input") == "text" else None,
        row=_features(item.row) if item.WhichOneof("input") == "row" else None,
        caller=caller,
        request_id=item.request_id or request_id,
        deadline=_deadline(item, deadline),
        traceparent=item.traceparent,
        keeping=_keeping(item, principal, speaks_for_another=bool(caller.delegate_id)),
        subject=item.subject,
    )


def _deadline(item: pb.PredictItem, of_call: float | None) -> float | None:
    if not item.HasField("timeout"):
        return of_call
    own = time.monotonic() + item.timeout.seconds + item.timeout.nanos / 1e9
    return own if of_call is None else min(own, of_call)


def _features(row: pb.Row) -> dict[str, FeatureValue]:
    return {name: _feature(value) for name, value in row.features.items()}


def _feature(value: pb.FeatureValue) -> FeatureValue:
    kind = value.WhichOneof("kind")
    return None if kind is None else getattr(value, kind)


def _keeping(item: pb.PredictItem, principal: Principal, *, speaks_for_another: bool) -> Keeping:
    own = Keeping() if speaks_for_another else keeping_claimed(principal)
    if not item.HasField("keeping"):
        return own
    stated = Keeping(
        _KEEPING.get(item.keeping.input, InputKeeping.NOTHING), item.keeping.retention_class
    )
    if stated != own and DELEGATION_SCOPE not in principal.scopes:
        raise DelegationDenied("Only a delegate may state how a record is kept.")
    if len(stated.retention_class) > MAX_RETENTION_CLASS:
        raise KeepingInvalid("The name of the retention class is too long.")
    return stated


def keeping_claimed(principal: Principal) -> Keeping:
    """What the token's claim `keeping` says; nothing is kept where it says nothing.

    The gateway writes it as `{"input": "encrypted", "retention_class": "long"}`.
    """
    claim = principal.claims.get("keeping")
    if not isinstance(claim, Mapping):
        return Keeping()
    retention_class = claim.get("retention_class", "")
    if not isinstance(retention_class, str) or len(retention_class) > MAX_RETENTION_CLASS:
        retention_class = ""
    return Keeping(_CLAIMED.get(str(claim.get("input")), InputKeeping.NOTHING), retention_class)


def _caller(item: pb.PredictItem, principal: Principal) -> Caller:
    own = Caller(tenant=principal.tenant, client_id=principal.client_id)
    if not item.HasField("caller"):
        return own
    stated = Caller(tenant=item.caller.tenant, client_id=item.caller.client_id)
    if stated == own:
        return own
    if DELEGATION_SCOPE not in principal.scopes:
        raise DelegationDenied("Only a delegate may state on whose behalf it calls.")
    if not stated.tenant or not stated.client_id:
        raise DelegationDenied("A delegate must state both the tenant and the client.")
    return Caller(stated.tenant, stated.client_id, delegate_id=principal.client_id)


def from_outcome(outcome: Outcome) -> pb.ItemOutcome:
    """What the caller sees of one item."""
    if isinstance(outcome, Prediction):
        return pb.ItemOutcome(prediction=_from_prediction(outcome))
    error = pb.ItemError(reason=_REASONS[outcome.fault], message=outcome.message)
    if outcome.retry_after:
        error.retry_after.FromNanoseconds(int(outcome.retry_after * 1e9))
    return pb.ItemOutcome(error=error)


def _from_prediction(prediction: Prediction) -> pb.Prediction:
    predicted_at = Timestamp()
    predicted_at.FromDatetime(prediction.predicted_at)
    return pb.Prediction(
        prediction_id=str(prediction.prediction_id),
        model=prediction.model,
        model_version=prediction.model_version,
        label=prediction.label,
        confidence=prediction.confidence,
        probabilities=[
            pb.LabelProbability(label=label, probability=probability)
            for label, probability in prediction.scored.probabilities.items()
        ],
        inference_ms=prediction.scored.milliseconds,
        predicted_at=predicted_at,
        unlogged=prediction.unlogged,
        cached=prediction.scored.cached,
    )


def from_model(status: ModelStatus) -> pb.Model:
    """A model as its loaded versions describe it; task and labels are those of the newest."""
    model = pb.Model(name=status.name)
    if status.loaded:
        newest = max(status.loaded.values(), key=lambda loaded: loaded.loaded_at).package.manifest
        model.task = newest.task
        model.labels.extend(newest.labels)
        model.max_characters = newest.inputs.max_characters
        model.max_tokens = newest.inputs.max_tokens
    for each in status.versions.values():
        if each.state is VersionState.UNLOADED:
            continue
        described = model.versions.add(
            version=each.version,
            traffic_percent=each.traffic_percent,
            shadow=each.shadow,
            state=_STATES[each.state],
            reason=each.reason,
        )
        if each.loaded:
            described.loaded_at.FromDatetime(each.loaded.loaded_at)
    return model
