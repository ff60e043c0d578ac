"""A running service follows its repository: no request fails, and no version stays in memory."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from testkit.issuer import ISSUER, FakeIssuer
from testkit.stores import Store
from testkit.tiny_model import write_manifest, write_routing, write_tiny_package
from testkit.waiting import until
from weir.inference.v1 import inference_pb2 as pb
from weir.inference.v1 import inference_pb2_grpc

from .test_process import running

RELOADS = 20
CALLERS = 4
WEIGHT_BYTES = 8_000_000
Predict = Callable[[], "asyncio.Future[pb.PredictResponse]"]


def add_version(root: Path, version: str) -> Path:
    """A package whose weights can be seen in the process's memory, put in place at once."""
    stage = root / ".stage" / "sentiment" / version
    write_tiny_package(root / ".stage", version=version)
    model = onnx.load(str(stage / "model.onnx"))
    (weights,) = [each for each in model.graph.initializer if each.name == "weights"]
    many = np.zeros((WEIGHT_BYTES // 8, 2), dtype=np.float32)
    many[: weights.dims[0]] = numpy_helper.to_array(weights)
    weights.CopyFrom(numpy_helper.from_array(many, "weights"))
    onnx.save(model, str(stage / "model.onnx"))
    write_manifest(stage)
    target = root / "sentiment" / version
    target.parent.mkdir(exist_ok=True)
    return stage.rename(target)


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


@pytest.fixture
def environment(
    tmp_path: Path, redis_server: Store, issuer: FakeIssuer, jwks_url: str
) -> dict[str, str]:
    root = tmp_path / "models"
    add_version(root, "0")
    write_routing(root / "sentiment", {"0": 100})
    return {
        "WEIR_GRPC_ADDRESS": f"unix:{tmp_path}/inference.sock",
        "WEIR_ISSUER": ISSUER,
        "WEIR_JWKS_URL": jwks_url,
        "WEIR_EVENTS_REDIS_URL": redis_server.url,
        "WEIR_MODEL_REPOSITORY": str(root),
        "WEIR_MODEL_POLL_INTERVAL": "0.05",
        # Nobody reads what the process says, and a full pipe would stop it.
        "WEIR_LOG_LEVEL": "error",
    }


@asynccontextmanager
async def client(environment: dict[str, str], issuer: FakeIssuer) -> AsyncIterator[Predict]:
    metadata = (("authorization", f"Bearer {issuer.token('models:predict')}"),)
    request = pb.PredictRequest(model="sentiment", items=[pb.PredictItem(text="good day")])
    address = environment["WEIR_GRPC_ADDRESS"]
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        yield lambda: stub.Predict(request, metadata=metadata, timeout=20)


async def answers(predict: Predict) -> bool:
    try:
        await predict()
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_reloads_under_load_fail_no_request_and_leave_nothing_behind(
    environment: dict[str, str], issuer: FakeIssuer
) -> None:
    root = Path(environment["WEIR_MODEL_REPOSITORY"])
    seen: Counter[str] = Counter()
    stop = asyncio.Event()

    async def call_on_and_on() -> None:
        last = 0
        while not stop.is_set():
            (outcome,) = (await predict()).outcomes
            assert outcome.prediction.label == "positive", outcome
            version = int(outcome.prediction.model_version)
            assert version >= last, "a caller went back to an older version"
            last = version
            seen[str(version)] += 1

    with running(environment) as process:
        async with client(environment, issuer) as predict, asyncio.TaskGroup() as group:
            await until(lambda: answers(predict), within=60)
            for _ in range(CALLERS):
                group.create_task(call_on_and_on())
            resident = []
            for number in range(1, RELOADS + 1):
                if number % 4 == 0:
                    broken = add_version(root, f"{number}-broken")
                    (broken / "model.onnx").write_bytes(b"")
                    write_routing(root / "sentiment", {broken.name: 100})
                add_version(root, str(number))
                write_routing(root / "sentiment", {str(number): 100})
                await until(partial(_seen, seen, str(number)), within=60)
                shutil.rmtree(root / "sentiment" / str(number - 1))
                resident.append(resident_bytes(process.pid))
            stop.set()
    assert set(seen) >= {str(number) for number in range(1, RELOADS + 1)}
    # Two versions are there at a time; were they all, the last would be fifteen above.
    assert resident[-1] - resident[4] < 4 * WEIGHT_BYTES, resident


async def test_killed_service_fails_what_was_on_its_way_as_retryable_and_comes_back(
    environment: dict[str, str], issuer: FakeIssuer
) -> None:
    async with client(environment, issuer) as predict:
        with running(environment) as process:
            await until(lambda: answers(predict), within=60)
            calls = [asyncio.ensure_future(predict()) for _ in range(50)]
            await asyncio.sleep(0)
            process.kill()
            failures = [
                each for each in await asyncio.gather(*calls, return_exceptions=True) if each
            ]
        codes = {each.code() for each in failures if isinstance(each, grpc.aio.AioRpcError)}
        assert codes <= {grpc.StatusCode.UNAVAILABLE}
        with running(environment):
            await until(lambda: answers(predict), within=60)


async def _seen(seen: Counter[str], version: str) -> bool:
    return seen[version] > 0
