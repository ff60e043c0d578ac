"""Between the inference contract and the domain."""

import time

from inference.delegation import speaker_of
from inference.domain import Fault, FeatureValue, Item, Outcome, Prediction
from inference.model_repository import ModelStatus, VersionState
from servicekit.request_context import Principal
from servicekit.timestamps import to_timestamp
from weir.inference.v1 import inference_pb2 as pb

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
    speaker = speaker_of(item, principal)
    return Item(
        text=item.text if item.WhichOneof("input") == "text" else None,
        row=_features(item.row) if item.WhichOneof("input") == "row" else None,
        caller=speaker.caller,
        request_id=item.request_id or request_id,
        deadline=_deadline(item, deadline),
        traceparent=item.traceparent,
        keeping=speaker.keeping,
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


def from_outcome(outcome: Outcome) -> pb.ItemOutcome:
    """What the caller sees of one item."""
    if isinstance(outcome, Prediction):
        return pb.ItemOutcome(prediction=_from_prediction(outcome))
    error = pb.ItemError(reason=_REASONS[outcome.fault], message=outcome.message)
    if outcome.retry_after:
        error.retry_after.FromNanoseconds(int(outcome.retry_after * 1e9))
    return pb.ItemOutcome(error=error)


def _from_prediction(prediction: Prediction) -> pb.Prediction:
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
        predicted_at=to_timestamp(prediction.predicted_at),
        unlogged=prediction.unlogged,
        cached=prediction.scored.cached,
        input_tokens=prediction.scored.facts.tokens,
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
            described.loaded_at.CopyFrom(to_timestamp(each.loaded.loaded_at))
    return model
