"""Texts over the Open Inference Protocol's gRPC form."""

import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from grpc.aio import AioRpcError
from redis.asyncio import Redis

from testkit.issuer import FakeIssuer
from testkit.tiny_model import positive_probability
from weir.inference.v1 import inference_pb2
from weir.oip.v2 import open_inference_pb2 as pb

from .oip_service import Authorised, OipService, running_oip
from .served import Served

DELEGATION = "weir-delegation-bin"


@pytest_asyncio.fixture
async def oip(
    tmp_path: Path, served: Served, redis: Redis, issuer: FakeIssuer
) -> AsyncIterator[OipService]:
    async with running_oip(tmp_path, served, redis, issuer) as service:
        yield service


@pytest.fixture
def client(oip: OipService) -> Authorised:
    return oip.stub("models:predict")


def texts(*elements: str | bytes, shape: Sequence[int] | None = None) -> pb.ModelInferRequest:
    """A request with typed contents."""
    encoded = [each.encode() if isinstance(each, str) else each for each in elements]
    request = pb.ModelInferRequest(model_name="sentiment", id="request-7")
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=shape or [len(encoded)])
    tensor.contents.bytes_contents.extend(encoded)
    return request


def raw(request: pb.ModelInferRequest) -> pb.ModelInferRequest:
    """The same request with raw contents."""
    for tensor in request.inputs:
        elements = tensor.contents.bytes_contents
        request.raw_input_contents.append(
            b"".join(struct.pack("<I", len(each)) + each for each in elements)
        )
        tensor.ClearField("contents")
    return request


async def refused(client: Authorised, request: pb.ModelInferRequest) -> tuple[str, str]:
    with pytest.raises(AioRpcError) as caught:
        await client.ModelInfer(request)
    return caught.value.code().name, caught.value.details() or ""


async def test_typed_texts_are_answered_typed_and_recorded(
    oip: OipService, client: Authorised
) -> None:
    answer = await client.ModelInfer(texts("good", "bad"), ("x-request-id", "r-1"))
    assert (answer.model_name, answer.model_version, answer.id) == ("sentiment", "1", "request-7")
    outputs = {output.name: output for output in answer.outputs}
    assert list(outputs) == ["label", "confidence", "probabilities", "prediction_id"]
    assert list(outputs["label"].contents.bytes_contents) == [b"positive", b"negative"]
    positive = positive_probability("good")
    assert list(outputs["confidence"].contents.fp32_contents) == pytest.approx([positive] * 2)
    assert list(outputs["probabilities"].shape) == [2, 2]
    assert list(outputs["probabilities"].contents.fp32_contents) == pytest.approx(
        [1 - positive, positive, positive, 1 - positive]
    )
    assert not answer.raw_output_contents

    events = await oip.recorded()
    ids = [each.decode() for each in outputs["prediction_id"].contents.bytes_contents]
    assert [event.prediction_id for event in events] == ids
    assert {(event.tenant, event.client_id, event.request_id) for event in events} == {
        ("tenant-1", "client-1", "r-1")
    }


async def test_raw_texts_are_answered_raw(client: Authorised) -> None:
    request = raw(texts("good", "bad", shape=[2, 1]))
    request.outputs.add(name="confidence")
    request.outputs.add(name="label")
    answer = await client.ModelInfer(request)
    assert [output.name for output in answer.outputs] == ["confidence", "label"]
    confidence, label = answer.raw_output_contents
    assert struct.unpack("<2f", confidence) == pytest.approx([positive_probability("good")] * 2)
    assert label == b"\x08\0\0\0positive\x08\0\0\0negative"
    assert not any(output.HasField("contents") for output in answer.outputs)


def _renamed() -> pb.ModelInferRequest:
    request = texts("good")
    request.inputs[0].name = "sentence"
    return request


def _twice() -> pb.ModelInferRequest:
    request = texts("good")
    request.inputs.append(request.inputs[0])
    return request


def _of_numbers() -> pb.ModelInferRequest:
    request = texts("good")
    request.inputs[0].datatype = "FP32"
    return request


def _with_both() -> pb.ModelInferRequest:
    request = texts("good")
    request.raw_input_contents.append(b"\x04\0\0\0good")
    return request


def _with_more_raw() -> pb.ModelInferRequest:
    request = raw(texts("good"))
    request.raw_input_contents.append(b"")
    return request


def _asking_for(output: str) -> pb.ModelInferRequest:
    request = texts("good")
    request.outputs.add(name=output)
    return request


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (_renamed(), "'sentence' is unknown"),
        (_twice(), "unknown or there twice"),
        (pb.ModelInferRequest(model_name="sentiment"), "lacks the input 'text'"),
        (_of_numbers(), "is of BYTES, not of 'FP32'"),
        (texts("a", "b", shape=[1, 2]), "of shape"),
        (texts("a", "b", shape=[2, 1, 1]), "of shape"),
        (texts("a", shape=[2]), "has 2 elements"),
        (texts(shape=[0]), "at least one row"),
        (texts(*"abcde"), "4 rows at most"),
        (texts(shape=[1 << 40]), "4 rows at most"),
        (texts(b"\xff"), "not in UTF-8"),
        (texts("good", " "), "Row 1: The text is blank"),
        (texts("x" * 5001), "more than 5000 characters"),
        (_with_both(), "both contents and raw"),
        (_with_more_raw(), "for each input"),
        (_asking_for("logits"), "no output 'logits'"),
    ],
)
async def test_request_that_the_model_does_not_take_is_refused_whole(
    oip: OipService, client: Authorised, request_: pb.ModelInferRequest, told: str
) -> None:
    code, details = await refused(client, request_)
    assert code == "INVALID_ARGUMENT"
    assert told in details
    assert await oip.recorded() == []


async def test_unknown_model_and_version_are_told_apart_from_bad_input(client: Authorised) -> None:
    request = texts("good")
    request.model_version = "9"
    assert (await refused(client, request))[0] == "NOT_FOUND"
    request.model_name = "absent"
    assert (await refused(client, request))[0] == "NOT_FOUND"


async def test_model_that_was_unloaded_is_unavailable(oip: OipService, client: Authorised) -> None:
    await oip.served.control.unload("sentiment")
    assert (await refused(client, texts("good")))[0] == "UNAVAILABLE"


@pytest.mark.parametrize("scopes", [["models:read"], ["models:manage"]])
async def test_predicting_needs_its_scope(oip: OipService, scopes: list[str]) -> None:
    assert (await refused(oip.stub(*scopes), texts("good")))[0] == "PERMISSION_DENIED"


async def test_without_a_token_nothing_is_predicted(oip: OipService) -> None:
    assert (await refused(oip.stub(token=""), texts("good")))[0] == "UNAUTHENTICATED"
    assert await oip.recorded() == []


async def test_delegate_states_whom_a_request_is_for(oip: OipService) -> None:
    said = inference_pb2.Delegation(caller=inference_pb2.Caller(tenant="acme", client_id="a-1"))
    token = oip.issuer.token("models:predict", "delegate", client_id="weir-gateway")
    stub = oip.stub(token=token)
    await stub.ModelInfer(texts("good"), (DELEGATION, said.SerializeToString()))
    (event,) = await oip.recorded()
    assert (event.tenant, event.client_id, event.delegate_id) == ("acme", "a-1", "weir-gateway")


@pytest.mark.parametrize(
    "said",
    [
        inference_pb2.Delegation(
            caller=inference_pb2.Caller(tenant="acme", client_id="a-1")
        ).SerializeToString(),
        b"\xff",
    ],
)
async def test_nobody_else_may(oip: OipService, client: Authorised, said: bytes) -> None:
    with pytest.raises(AioRpcError) as caught:
        await client.ModelInfer(texts("good"), (DELEGATION, said))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert await oip.recorded() == []


async def test_subject_of_a_request_is_private(oip: OipService, client: Authorised) -> None:
    request = texts("good")
    request.parameters["subject"].string_param = "customer-4711"
    code, details = await refused(client, request)
    assert (code, "no key to seal" in details) == ("UNAVAILABLE", True)


async def test_request_that_nobody_waits_for_long_enough_is_late(client: Authorised) -> None:
    request = texts("good")
    request.parameters["timeout"].int64_param = 1
    assert (await refused(client, request))[0] == "DEADLINE_EXCEEDED"


async def test_parameters_state_no_caller(oip: OipService, client: Authorised) -> None:
    request = texts("good")
    for name in ("caller", "tenant", "client_id", "keeping", DELEGATION):
        request.parameters[name].string_param = "acme"
    await client.ModelInfer(request)
    (event,) = await oip.recorded()
    assert (event.tenant, event.client_id, event.delegate_id) == ("tenant-1", "client-1", "")
