"""Writes predictions as an answer of the Open Inference Protocol."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from inference.domain import (
    Fault,
    ModelFailed,
    Outcome,
    OutOfTime,
    Prediction,
    QueueFull,
    Rejection,
    RowRefused,
    SealingKeyMissing,
)
from inference.model_interface import CONFIDENCE, LABEL, PREDICTION_ID, PROBABILITIES
from inference.oip_request import TensorCall
from inference.tensor_codec import Array, dtype_of, has_typed_contents, to_raw, to_typed
from servicekit.errors import ServiceError
from weir.oip.v2 import open_inference_pb2 as pb

_RAISED: Mapping[Fault, type[ServiceError]] = {
    Fault.SATURATED: QueueFull,
    Fault.DEADLINE_EXCEEDED: OutOfTime,
    Fault.SEALING_KEY_MISSING: SealingKeyMissing,
    Fault.MODEL_FAILED: ModelFailed,
}
_FIELDS: Mapping[str, Callable[[Prediction], Any]] = {
    LABEL: lambda prediction: prediction.label,
    CONFIDENCE: lambda prediction: prediction.confidence,
    PROBABILITIES: lambda prediction: list(prediction.scored.probabilities.values()),
    PREDICTION_ID: lambda prediction: str(prediction.prediction_id),
}


def all_predicted(outcomes: Sequence[Outcome]) -> Sequence[Prediction]:
    """The predictions, when every row has one: the protocol has no errors for single rows.

    Raises:
        ServiceError: the first row without one, and why.
    """
    predictions: list[Prediction] = []
    for row, outcome in enumerate(outcomes):
        if isinstance(outcome, Rejection):
            kind = _RAISED.get(outcome.fault, RowRefused)
            where = f"Row {row}: " if len(outcomes) > 1 else ""
            retry_after = outcome.retry_after or None
            raise kind(where + outcome.message, reason=outcome.fault.name, retry_after=retry_after)
        predictions.append(outcome)
    return predictions


def write_answer(
    request: pb.ModelInferRequest, call: TensorCall, predictions: Sequence[Prediction]
) -> pb.ModelInferResponse:
    """The outputs that the request asks for, raw or typed as its own tensors were."""
    answer = pb.ModelInferResponse(
        model_name=predictions[0].model, model_version=predictions[0].model_version, id=request.id
    )
    if any(prediction.unlogged for prediction in predictions):
        answer.parameters["unlogged"].bool_param = True
    if tokens := sum(prediction.scored.facts.tokens for prediction in predictions):
        answer.parameters["input_tokens"].int64_param = tokens
    # Raw bytes are for all outputs or for none.
    in_raw = call.in_raw or not all(has_typed_contents(spec.datatype) for spec in call.outputs)
    for spec in call.outputs:
        array = _column(spec.name, spec.datatype, predictions)
        output = answer.outputs.add(name=spec.name, datatype=spec.datatype, shape=array.shape)
        if in_raw:
            answer.raw_output_contents.append(to_raw(spec.datatype, array))
        else:
            output.contents.CopyFrom(to_typed(spec.datatype, array))
    return answer


def _column(name: str, datatype: str, predictions: Sequence[Prediction]) -> Array:
    given = [prediction.scored.outputs for prediction in predictions]
    rows = [tensors[name] for tensors in given if tensors is not None and name in tensors]
    if rows:
        try:
            return np.concatenate(rows)
        except ValueError as error:
            message = f"The rows of output {name!r} differ in shape; ask for one row at a time."
            raise RowRefused(message) from error
    values = [_FIELDS[name](prediction) for prediction in predictions]
    return np.array(values, dtype=dtype_of(datatype))
