"""Reads a request of the Open Inference Protocol as the items of a call."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from inference.delegation import Speaker
from inference.domain import Item, TensorsInvalid
from inference.manifest import TensorSpec
from inference.model_interface import TEXT, ModelInterface, StatedTensor
from inference.tensor_codec import Array, from_raw, from_typed
from weir.oip.v2 import open_inference_pb2 as pb


@dataclass(frozen=True, slots=True)
class TensorCall:
    """What a request asks for."""

    items: Sequence[Item] = field(repr=False)
    outputs: tuple[TensorSpec, ...]
    in_raw: bool
    """Whether its tensors came as raw bytes, and the answer's are to be so."""


def read_call(
    request: pb.ModelInferRequest,
    interface: ModelInterface,
    speaker: Speaker,
    *,
    request_id: str,
    deadline: float | None,
    most_rows: int,
) -> TensorCall:
    """The items of a request, one for each row.

    Names, types, shapes and the number of rows are looked at before any element is.

    Args:
        deadline: of the call, on the clock of `time.monotonic`.

    Raises:
        InvalidInput: the tensors are not those that the model takes, or the rows are too many.
    """
    stated = [
        StatedTensor(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in request.inputs
    ]
    rows = interface.rows_of(stated, most_rows)
    outputs = interface.chosen_outputs([output.name for output in request.outputs])
    in_raw = bool(request.raw_input_contents)
    if in_raw and len(request.raw_input_contents) != len(stated):
        raise TensorsInvalid("There must be one of raw_input_contents for each input, or none.")
    arrays = {
        tensor.name: _array(request, index, tensor, in_raw=in_raw)
        for index, tensor in enumerate(stated)
    }
    subject = request.parameters["subject"].string_param if "subject" in request.parameters else ""
    until = _sooner(deadline, request)

    def item(row: int) -> Item:
        own = {name: array[row : row + 1] for name, array in arrays.items()}
        return Item(
            text=_text(own[TEXT]) if interface.takes_text else None,
            tensors=None if interface.takes_text else own,
            caller=speaker.caller,
            keeping=speaker.keeping,
            request_id=request_id,
            deadline=until,
            subject=subject,
        )

    return TensorCall([item(row) for row in range(rows)], outputs, in_raw)


def _array(
    request: pb.ModelInferRequest, index: int, stated: StatedTensor, *, in_raw: bool
) -> Array:
    tensor = request.inputs[index]
    try:
        if in_raw:
            if tensor.HasField("contents"):
                raise TensorsInvalid("It has both contents and raw_input_contents.")
            raw = request.raw_input_contents[index]
            return from_raw(stated.datatype, stated.shape, raw)
        return from_typed(stated.datatype, stated.shape, tensor.contents)
    except TensorsInvalid as error:
        raise TensorsInvalid(f"Input {stated.name!r}: {error.message}") from error


def _text(row: Array) -> str:
    try:
        return str(row.item().decode())
    except UnicodeDecodeError as error:
        raise TensorsInvalid("A text is not in UTF-8.") from error


def _sooner(deadline: float | None, request: pb.ModelInferRequest) -> float | None:
    if "timeout" not in request.parameters:
        return deadline
    timeout = request.parameters["timeout"]
    microseconds = timeout.int64_param or timeout.uint64_param
    if microseconds <= 0:
        return deadline
    own = time.monotonic() + microseconds / 1e6
    return own if deadline is None else min(own, deadline)
