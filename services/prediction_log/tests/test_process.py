"""The service as a process of its own, with stores that come and go."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from servicekit.event_stream import EventPublisher
from testkit.issuer import ISSUER, FakeIssuer
from testkit.stores import Store
from testkit.waiting import until
from weir.predictions.v1 import predictions_pb2 as pb
from weir.predictions.v1 import predictions_pb2_grpc

STREAM = "weir:predictions:0"
Launch = Callable[..., "Service"]


class Service:
    """One process, its log and a way to call it."""

    def __init__(self, process: subprocess.Popen[bytes], address: str, log_file: Path) -> None:
        self.process = process
        self.address = address
        self._log_file = log_file

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log_file.read_text().splitlines()]

    def logged(self, event: str) -> int:
        return sum(entry["event"] == event for entry in self.log)

    async def health(self) -> int | None:
        async with grpc.aio.insecure_channel(self.address) as channel:
            try:
                request = health_pb2.HealthCheckRequest(
                    service="weir.predictions.v1.PredictionLogService"
                )
                return int((await health_pb2_grpc.HealthStub(channel).Check(request)).status)
            except grpc.aio.AioRpcError:
                return None

    async def serving(self) -> bool:
        return await self.health() == health_pb2.HealthCheckResponse.SERVING

    async def not_serving(self) -> bool:
        return await self.health() == health_pb2.HealthCheckResponse.NOT_SERVING

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@pytest.fixture
def launch(tmp_path: Path, jwks_url: str, redis_server: Store) -> Iterator[Launch]:
    started: list[subprocess.Popen[bytes]] = []

    def start(database_url: str, *command: str, **environment: str) -> Service:
        address = f"unix:{tmp_path}/log{len(started)}.sock"
        log_file = tmp_path / f"log{len(started)}.jsonl"
        with log_file.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "prediction_log", *command],
                cwd=tmp_path,
                env=os.environ
                | {
                    "WEIR_DATABASE_URL": database_url,
                    "WEIR_GRPC_ADDRESS": address,
                    "WEIR_METRICS_ADDRESS": "127.0.0.1:0",
                    "WEIR_ISSUER": ISSUER,
                    "WEIR_JWKS_URL": jwks_url,
                    "WEIR_EVENTS_REDIS_URL": redis_server.url,
                    "WEIR_INSTANCE": "log-0",
                    "WEIR_DATABASE_CHECK_INTERVAL": "0.2",
                }
                | environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return Service(process, address, log_file)

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_process_writes_what_is_published_answers_and_stops_cleanly(
    log: Any, facts: Any, redis: Redis, launch: Launch, issuer: FakeIssuer
) -> None:
    service = launch(log.url)
    await until(service.serving, within=30)
    fact = facts.prediction()
    await EventPublisher(redis).publish(STREAM, [fact])
    token = issuer.token("predictions:read")
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = predictions_pb2_grpc.PredictionLogServiceStub(channel)
        request = pb.GetPredictionRequest(prediction_id=fact.prediction_id)

        async def found() -> bool:
            try:
                answer = await stub.GetPrediction(
                    request, metadata=(("authorization", f"Bearer {token}"),)
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return False
            return bool(answer.prediction.prediction_id == fact.prediction_id)

        await until(found, within=2)
    assert service.stop() == 0, service.log
    assert {"database_ready", "partition_made", "stop_requested"} <= {
        entry["event"] for entry in service.log
    }
    assert not any(entry["level"] in ("error", "warning") for entry in service.log)
    assert token not in json.dumps(service.log)
