"""Health, descriptions, model control and streams of the Open Inference Protocol over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc.aio import AioRpcError
from redis.asyncio import Redis

from inference.ordered_answers import in_order
from testkit.issuer import FakeIssuer
from weir.oip.v2 import open_inference_pb2 as pb

from .oip_service import Authorised, OipService, running_oip
from .served import Served, break_golden


@pytest_asyncio.fixture
async def oip(
    tmp_path: Path, served: Served, redis: Redis, issuer: FakeIssuer
) -> AsyncIterator[OipService]:
    async with running_oip(tmp_path, served, redis, issuer) as service:
        yield service


@pytest.fixture
def reader(oip: OipService) -> Authorised:
    return oip.stub("models:read")


@pytest.fixture
def operator(oip: OipService) -> Authorised:
    return oip.stub("models:manage")


def text(words: str, model: str = "sentiment", identifier: str = "") -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model, id=identifier)
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(words.encode())
    return request


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(AioRpcError) as caught:
        await call
    code: grpc.StatusCode = caught.value.code()
    return code


async def test_health_needs_no_token(oip: OipService) -> None:
    anybody = oip.stub(token="")
    assert (await anybody.ServerLive(pb.ServerLiveRequest())).live
    assert (await anybody.ServerReady(pb.ServerReadyRequest())).ready
    oip.ready = False
    assert not (await anybody.ServerReady(pb.ServerReadyRequest())).ready


async def test_everything_else_does(oip: OipService) -> None:
    anybody = oip.stub(token="")
    for call in (
        anybody.ServerMetadata(pb.ServerMetadataRequest()),
        anybody.ModelReady(pb.ModelReadyRequest(name="sentiment")),
        anybody.RepositoryIndex(pb.RepositoryIndexRequest()),
        anybody.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name="sentiment")),
    ):
        assert await code_of(call) is grpc.StatusCode.UNAUTHENTICATED


async def test_server_names_itself_and_its_extensions(reader: Authorised) -> None:
    told = await reader.ServerMetadata(pb.ServerMetadataRequest())
    assert told.name == "weir"
    assert told.version
    assert "model_repository" in told.extensions


async def test_model_is_ready_while_it_answers(oip: OipService, reader: Authorised) -> None:
    for version in ("", "1"):
        request = pb.ModelReadyRequest(name="sentiment", version=version)
        assert (await reader.ModelReady(request)).ready
    await oip.served.control.unload("sentiment")
    assert not (await reader.ModelReady(pb.ModelReadyRequest(name="sentiment"))).ready
    unknown = reader.ModelReady(pb.ModelReadyRequest(name="absent"))
    assert await code_of(unknown) is grpc.StatusCode.NOT_FOUND


async def test_metadata_tell_the_tensors(reader: Authorised) -> None:
    told = await reader.ModelMetadata(pb.ModelMetadataRequest(name="sentiment"))
    assert (told.name, list(told.versions), told.platform) == (
        "sentiment",
        ["1"],
        "onnxruntime_onnx",
    )
    tensors = [(each.name, each.datatype, list(each.shape)) for each in told.inputs]
    assert tensors == [("text", "BYTES", [-1])]
    tensors = [(each.name, each.datatype, list(each.shape)) for each in told.outputs]
    assert tensors == [
        ("label", "BYTES", [-1]),
        ("confidence", "FP32", [-1]),
        ("probabilities", "FP32", [-1, 2]),
        ("prediction_id", "BYTES", [-1]),
    ]


async def test_configuration_tells_the_labels(reader: Authorised) -> None:
    config = (await reader.ModelConfig(pb.ModelConfigRequest(name="sentiment"))).config
    assert (config.name, config.backend, config.max_batch_size) == ("sentiment", "onnxruntime", 4)
    assert config.input[0].data_type == pb.TYPE_STRING
    assert {each.name: list(each.dims) for each in config.output}["probabilities"] == [2]
    assert config.parameters["labels"].string_value == '["negative", "positive"]'


async def test_statistics_count_requests_and_rows(oip: OipService, reader: Authorised) -> None:
    client = oip.stub("models:predict")
    await client.ModelInfer(text("good"))
    await code_of(client.ModelInfer(text(" ")))
    for request in (pb.ModelStatisticsRequest(), pb.ModelStatisticsRequest(name="sentiment")):
        (counted,) = (await reader.ModelStatistics(request)).model_stats
        assert (counted.name, counted.version, counted.inference_count) == ("sentiment", "1", 1)
        assert counted.inference_stats.success.count == 1
        assert counted.inference_stats.success.ns > 0
        assert counted.inference_stats.fail.count == 1
        assert counted.last_inference > 0
    unknown = reader.ModelStatistics(pb.ModelStatisticsRequest(name="sentiment", version="9"))
    assert await code_of(unknown) is grpc.StatusCode.NOT_FOUND


async def test_model_is_unloaded_listed_and_loaded_again(
    oip: OipService, reader: Authorised, operator: Authorised
) -> None:
    async def index(*, ready: bool) -> list[tuple[str, str, str]]:
        found = await reader.RepositoryIndex(pb.RepositoryIndexRequest(ready=ready))
        return [(each.version, each.state, each.reason) for each in found.models]

    unload = pb.RepositoryModelUnloadRequest(model_name="sentiment")
    unload.parameters["unload_dependents"].bool_param = False
    await operator.RepositoryModelUnload(unload)
    assert await index(ready=False) == [("1", "UNAVAILABLE", "unloaded")]
    assert await index(ready=True) == []
    await operator.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="sentiment"))
    assert await index(ready=True) == [("1", "READY", "")]
    assert (await oip.stub("models:predict").ModelInfer(text("good"))).model_version == "1"


async def test_broken_version_is_not_loaded_and_says_why(
    oip: OipService, reader: Authorised, operator: Authorised
) -> None:
    break_golden(oip.served.add("2"))
    oip.served.route(v2=100)
    load = operator.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="sentiment"))
    assert await code_of(load) is grpc.StatusCode.UNAVAILABLE
    found = await reader.RepositoryIndex(pb.RepositoryIndexRequest())
    states = {each.version: (each.state, "golden" in each.reason) for each in found.models}
    assert states == {"1": ("READY", False), "2": ("UNAVAILABLE", True)}


async def test_control_needs_its_scope_and_takes_no_configuration(
    reader: Authorised, operator: Authorised
) -> None:
    load = pb.RepositoryModelLoadRequest(model_name="sentiment")
    assert await code_of(reader.RepositoryModelLoad(load)) is grpc.StatusCode.PERMISSION_DENIED
    load.parameters["config"].string_param = "{}"
    assert await code_of(operator.RepositoryModelLoad(load)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_control_is_refused_where_it_is_off(
    tmp_path: Path, served: Served, redis: Redis, issuer: FakeIssuer
) -> None:
    async with running_oip(tmp_path, served, redis, issuer, control="none") as oip:
        request = pb.RepositoryModelUnloadRequest(model_name="sentiment")
        call = oip.stub("models:manage").RepositoryModelUnload(request)
        assert await code_of(call) is grpc.StatusCode.PERMISSION_DENIED


async def test_stream_answers_in_order_and_outlives_an_error(oip: OipService) -> None:
    words = ["good", " ", "bad", "good"] * 10
    requests = (text(each, identifier=str(index)) for index, each in enumerate(words))
    call = oip.stub("models:predict").ModelStreamInfer(requests)
    answers = [answer async for answer in call]
    assert [answer.infer_response.id for answer in answers] == [str(n) for n in range(40)]
    labels = [
        answer.error_message or answer.infer_response.outputs[0].contents.bytes_contents[0].decode()
        for answer in answers
    ]
    assert labels == ["positive", "The text is blank.", "negative", "positive"] * 10
    assert len(await oip.recorded()) == 30


async def test_stream_answers_before_the_next_request_comes(oip: OipService) -> None:
    call = oip.stub("models:predict").ModelStreamInfer(None)
    for words in ("good", "bad"):
        await call.write(text(words))
        assert not (await call.read()).error_message
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_stream_needs_the_scope_to_predict(oip: OipService, reader: Authorised) -> None:
    call = reader.ModelStreamInfer(iter([text("good")]))
    assert await code_of(call.read()) is grpc.StatusCode.PERMISSION_DENIED


async def test_no_more_is_read_than_may_wait() -> None:
    read = 0
    gate = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    async def answer(request: int) -> int:
        await gate.wait()
        return -request

    answers = in_order(endless(), answer, most=3)
    first = asyncio.ensure_future(anext(answers))
    for _ in range(20):
        await asyncio.sleep(0)
    # Three wait for their turn, and one for room.
    assert read == 4
    gate.set()
    assert [await first, await anext(answers)] == [-1, -2]
    await answers.aclose()


async def test_broken_stream_of_requests_ends_the_answers() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("unreadable")

    async def answer(request: int) -> int:
        return request

    answers = in_order(broken(), answer, most=3)
    assert await anext(answers) == 1
    with pytest.raises(ValueError, match="unreadable"):
        await anext(answers)
