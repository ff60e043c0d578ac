"""The service as a process of its own, for the tests that start one."""

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

from testkit.issuer import ISSUER
from testkit.stores import Store

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
