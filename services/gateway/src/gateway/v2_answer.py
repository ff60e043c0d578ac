"""Writes inference's answer in the Open Inference Protocol's REST form."""

import json
from typing import Any

from starlette.responses import Response

from gateway.v2_elements import to_data
from gateway.v2_request import V2Call
from weir.oip.v2 import open_inference_pb2 as pb

JSON_LENGTH = "inference-header-content-length"


def answer_response(
    call: V2Call, answer: pb.ModelInferResponse, headers: dict[str, str]
) -> Response:
    """JSON, and after it the outputs that were asked for in binary.

    Raises:
        TensorInvalid: an output cannot be told in JSON.
    """
    content: dict[str, Any] = {
        "model_name": answer.model_name,
        "model_version": answer.model_version,
    }
    if answer.id:
        content["id"] = answer.id
    if answer.parameters:
        content["parameters"] = {
            name: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
            for name, value in answer.parameters.items()
        }
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True):
        written: dict[str, Any] = {
            "name": output.name,
            "datatype": output.datatype,
            "shape": list(output.shape),
        }
        if call.binary.get(output.name, call.binary_by_default):
            written["parameters"] = {"binary_data_size": len(raw)}
            binary.append(raw)
        else:
            written["data"] = to_data(output.datatype, raw)
        outputs.append(written)
    content["outputs"] = outputs
    text = json.dumps(content).encode()
    if not binary:
        return Response(text, headers=headers, media_type="application/json")
    headers = {**headers, JSON_LENGTH: str(len(text))}
    return Response(
        b"".join((text, *binary)), headers=headers, media_type="application/octet-stream"
    )
