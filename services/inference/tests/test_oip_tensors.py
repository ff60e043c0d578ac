"""Tables over the Open Inference Protocol's gRPC form."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from grpc.aio import AioRpcError
from redis.asyncio import Redis

from testkit.issuer import FakeIssuer
from testkit.tiny_tensors import write_tensor_package
from weir.oip.v2 import open_inference_pb2 as pb

from .oip_service import Authorised, OipService, running_oip
from .served import Served


@pytest_asyncio.fixture
async def oip(
    tmp_path: Path, served: Served, redis: Redis, issuer: FakeIssuer
) -> AsyncIterator[OipService]:
    write_tensor_package(served.root)
    write_tensor_package(served.root, "single", rows=1)
    await served.watch.look()
    async with running_oip(tmp_path, served, redis, issuer) as service:
        yield service


@pytest.fixture
def client(oip: OipService) -> Authorised:
    return oip.stub("models:predict")


def table(
    *rows: tuple[float, int], model: str = "churn", raw: bool = False
) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model)
    ages, visits = [age for age, _ in rows], [each for _, each in rows]
    # In another order than the model declares them.
    second = request.inputs.add(name="visits", datatype="INT64", shape=[len(rows), 1])
    first = request.inputs.add(name="age", datatype="FP32", shape=[len(rows), 1])
    if raw:
        request.raw_input_contents.append(struct.pack(f"<{len(rows)}q", *visits))
        request.raw_input_contents.append(struct.pack(f"<{len(rows)}f", *ages))
    else:
        second.contents.int64_contents.extend(visits)
        first.contents.fp32_contents.extend(ages)
    return request


@pytest.mark.parametrize("model", ["churn", "single"])
async def test_rows_are_answered_and_recorded_one_by_one(
    oip: OipService, client: Authorised, model: str
) -> None:
    answer = await client.ModelInfer(table((2.5, 1), (0.5, 3), model=model))
    outputs = {output.name: output for output in answer.outputs}
    assert list(outputs) == ["score", "probabilities", "prediction_id"]
    assert list(outputs["score"].shape) == [2, 1]
    assert list(outputs["score"].contents.fp32_contents) == pytest.approx([1.5, -2.5])
    assert list(outputs["probabilities"].shape) == [2, 2]
    assert len(await oip.recorded()) == 2


async def test_raw_tensors_are_answered_raw(client: Authorised) -> None:
    request = table((2.5, 1), (0.5, 3), raw=True)
    request.outputs.add(name="score")
    answer = await client.ModelInfer(request)
    (score,) = answer.raw_output_contents
    assert struct.unpack("<2f", score) == pytest.approx((1.5, -2.5))


def _without(name: str) -> pb.ModelInferRequest:
    request = table((2.5, 1))
    kept = [tensor for tensor in request.inputs if tensor.name != name]
    del request.inputs[:]
    request.inputs.extend(kept)
    return request


def _with_another() -> pb.ModelInferRequest:
    request = table((2.5, 1))
    request.inputs.add(name="height", datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(
        1
    )
    return request


def _uneven() -> pb.ModelInferRequest:
    request = table((2.5, 1))
    request.inputs[1].shape[0] = 2
    request.inputs[1].contents.fp32_contents.append(1)
    return request


def _wide() -> pb.ModelInferRequest:
    request = table((2.5, 1))
    request.inputs[1].shape[1] = 2
    request.inputs[1].contents.fp32_contents.append(1)
    return request


def _truncated() -> pb.ModelInferRequest:
    request = table((2.5, 1), raw=True)
    request.raw_input_contents[1] = request.raw_input_contents[1][:-1]
    return request


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (_without("age"), "lacks the input 'age'"),
        (_with_another(), "'height' is unknown"),
        (_uneven(), "differ in their first dimension"),
        (_wide(), "of shape [-1, 1]"),
        (_truncated(), "needs 4 bytes"),
    ],
)
async def test_tensors_that_the_model_does_not_take_are_refused(
    oip: OipService, client: Authorised, request_: pb.ModelInferRequest, told: str
) -> None:
    with pytest.raises(AioRpcError) as caught:
        await client.ModelInfer(request_)
    assert caught.value.code().name == "INVALID_ARGUMENT"
    assert told in (caught.value.details() or "")
    assert await oip.recorded() == []


async def test_row_that_the_model_fails_on_fails_the_request(
    oip: OipService, client: Authorised
) -> None:
    with pytest.raises(AioRpcError) as caught:
        await client.ModelInfer(table((2.5, 1), (2.5, 99)))
    assert caught.value.code().name == "INTERNAL"
    assert await oip.recorded() == []


async def test_graph_of_single_rows_still_takes_many(oip: OipService) -> None:
    reader = oip.stub("models:read")
    told = await reader.ModelMetadata(pb.ModelMetadataRequest(name="single"))
    assert [list(tensor.shape) for tensor in told.inputs] == [[-1, 1], [-1, 1]]
    config = (await reader.ModelConfig(pb.ModelConfigRequest(name="churn"))).config
    assert [list(tensor.dims) for tensor in config.input] == [[1], [1]]
    assert config.parameters["probabilities"].string_value == "probabilities"
