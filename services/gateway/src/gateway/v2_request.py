"""Reads a request of the Open Inference Protocol's REST form as the message that inference takes.

All tensors travel on as raw bytes: binary ones as they came, JSON ones packed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway import json_body
from gateway.problems import invalid_input
from gateway.request_errors import MalformedBody
from gateway.text_rules import is_clean
from gateway.v2_elements import TensorInvalid, to_raw
from gateway.v2_shapes import InferBody, InputTensor, Parameters, RequestedOutput, V2BodyT
from servicekit.errors import InvalidInput
from weir.oip.v2 import open_inference_pb2 as pb


@dataclass(frozen=True, slots=True)
class V2Call:
    """A request, and how its answer is to be written."""

    message: pb.ModelInferRequest
    rows: int
    binary_by_default: bool
    binary: Mapping[str, bool]
    """Of outputs that say so themselves."""


def read_infer(model: str, version: str, body: bytes, json_length: str | None) -> V2Call:
    """The request in a body.

    Args:
        json_length: the header Inference-Header-Content-Length; binary data follow the JSON after
            so many bytes. None: the whole body is JSON.

    Raises:
        MalformedBody: it is not JSON, or the header is none.
        InvalidInput: it is JSON of another shape, or a tensor's data do not fit the tensor.
    """
    length = len(body) if json_length is None else _length(json_length, len(body))
    shape = parse(InferBody, body[:length])
    message = pb.ModelInferRequest(model_name=model, model_version=version, id=shape.id or "")
    at = length
    for tensor in shape.inputs:
        # Assigned in place: messages are copied when they are put together.
        message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        raw, at = _raw(tensor, body, at)
        message.raw_input_contents.append(raw)
    if at != len(body):
        raise TensorInvalid(f"{len(body) - at} bytes after the JSON belong to no input.")
    for name, value in (shape.parameters or {}).items():
        _set_parameter(message, name, value)
    outputs = shape.outputs or []
    for output in outputs:
        message.outputs.add(name=output.name)
    return V2Call(
        message=message,
        rows=max(tensor.shape[0] for tensor in shape.inputs),
        binary_by_default=_flag(shape.parameters, "binary_data_output") or False,
        binary=_binary_outputs(outputs),
    )


def parse(shape: type[V2BodyT], content: bytes) -> V2BodyT:
    """JSON of a shape.

    Raises:
        MalformedBody: it is not JSON that all understand alike.
        InvalidInput: it is JSON of another shape.
    """
    decoded = json_body.read(content)
    try:
        return shape.model_validate(decoded)
    except ValidationError as error:
        raise invalid_input(error.errors(include_url=False, include_input=False)) from error


def _length(stated: str, most: int) -> int:
    if not (stated.isascii() and stated.isdecimal() and len(stated) < 20):
        raise MalformedBody("Inference-Header-Content-Length is no length.")
    length = int(stated)
    if length > most:
        raise MalformedBody("The body is shorter than Inference-Header-Content-Length.")
    return length


def _raw(tensor: InputTensor, body: bytes, at: int) -> tuple[bytes, int]:
    """A tensor's raw bytes, and where the next one's begin."""
    size = (tensor.parameters or {}).get("binary_data_size")
    try:
        if size is None:
            if tensor.data is None:
                raise TensorInvalid("It has neither data nor binary_data_size.")
            return to_raw(tensor.datatype, tensor.shape, tensor.data), at
        if tensor.data is not None:
            raise TensorInvalid("It has both data and binary_data_size.")
        if type(size) is not int or size < 0:
            raise TensorInvalid("binary_data_size is no number of bytes.")
        if size > len(body) - at:
            raise TensorInvalid("The body ends before its binary data.")
    except TensorInvalid as error:
        raise TensorInvalid(f"Input {tensor.name!r}: {error.message}") from error
    return body[at : at + size], at + size


def _set_parameter(message: pb.ModelInferRequest, name: str, value: Any) -> None:
    if value is None:
        return
    if type(value) is bool:
        message.parameters[name].bool_param = value
    elif type(value) is str:
        if not is_clean(value):
            raise InvalidInput("A parameter holds a NUL character or broken Unicode.")
        message.parameters[name].string_param = value
    elif type(value) is float:
        message.parameters[name].double_param = value
    elif type(value) is int and -(1 << 63) <= value < 1 << 63:
        message.parameters[name].int64_param = value
    else:
        raise InvalidInput("A parameter is a string, a boolean or a number of 64 bits.")


def _binary_outputs(outputs: list[RequestedOutput]) -> dict[str, bool]:
    binary: dict[str, bool] = {}
    for output in outputs:
        if (output.parameters or {}).get("classification"):
            raise InvalidInput("The extension `classification` is not spoken here.")
        asked = _flag(output.parameters, "binary_data")
        if asked is not None:
            binary[output.name] = asked
    return binary


def _flag(parameters: Parameters | None, name: str) -> bool | None:
    value = (parameters or {}).get(name)
    if value is not None and type(value) is not bool:
        raise InvalidInput(f"The parameter {name} is true or false.")
    return value
