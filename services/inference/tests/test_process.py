"""The service as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference.cpu_limit import available_cores
from testkit.issuer import ISSUER, FakeIssuer
from testkit.stores import Store
from testkit.waiting import until
from weir.events.v1 import events_pb2
from weir.inference.v1 import inference_pb2 as pb
from weir.inference.v1 import inference_pb2_grpc

Recorded = Callable[[], Awaitable[list[events_pb2.PredictionRecorded]]]


@contextmanager
def running(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "inference"],
        env=os.environ | {"WEIR_METRICS_ADDRESS": "127.0.0.1:0"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_process_serves_records_and_stops_cleanly(
    tmp_path: Path,
    packages: Path,
    issuer: FakeIssuer,
    jwks_url: str,
    redis_server: Store,
    recorded: Recorded,
) -> None:
    address = f"unix:{tmp_path}/inference.sock"
    environment = {
        "WEIR_GRPC_ADDRESS": address,
        "WEIR_ISSUER": ISSUER,
        "WEIR_JWKS_URL": jwks_url,
        "WEIR_EVENTS_REDIS_URL": redis_server.url,
        "WEIR_MODEL_REPOSITORY": str(packages),
    }
    with running(environment) as process:
        async with grpc.aio.insecure_channel(address) as channel:
            await until(lambda: _serving(channel), within=30)
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            token = issuer.token("models:predict")
            response = await stub.Predict(
                pb.PredictRequest(model="sentiment", items=[pb.PredictItem(text="good")]),
                metadata=(("authorization", f"Bearer {token}"),),
            )
        assert response.outcomes[0].prediction.label == "positive"
        assert len(await recorded()) == 1
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 0, output
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert {"model_loaded", "grpc_listening", "grpc_call", "stop_requested"} <= set(events)
    assert token not in output


async def _serving(channel: grpc.aio.Channel) -> bool:
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"WEIR_MODEL_THREADS": "none"}, "model_threads"),
        ({"WEIR_WHEN_UNLOGGED": "drop"}, "when_unlogged"),
        ({"WEIR_MODEL_REPOSITORY": "/nowhere"}, "/nowhere is no directory"),
    ],
)
def test_wrong_setting_ends_the_process_with_one_clear_line(
    environment: dict[str, str], complaint: str
) -> None:
    with running(environment) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    (line,) = output.splitlines()
    assert complaint in line
    assert "Traceback" not in output


def test_cores_follow_the_cgroup_quota(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    cores = available_cores(limit)
    assert cores >= 1
    limit.write_text("max 100000\n")
    assert available_cores(limit) == cores
    limit.write_text("50000 100000\n")
    assert available_cores(limit) == 1
