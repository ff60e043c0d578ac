"""The service as it is run: `python -m drift`, with a real Redis and keys over HTTP."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc.aio import AioRpcError, insecure_channel
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from drift.state_transaction import STATE_KEY
from servicekit.event_stream import EventPublisher
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from testkit.stores import Store, running_redis
from testkit.waiting import until
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

PREDICTIONS = "weir:predictions:0"
WriteReference = Callable[..., Path]


class Process:
    """`python -m drift`, and calls to it."""

    def __init__(self, directory: Path, environment: dict[str, str], token: str) -> None:
        self.address = f"unix:{directory}/drift.sock"
        self.instance = directory.name
        self.given = environment
        self.environment = {
            "WEIR_GRPC_ADDRESS": self.address,
            "WEIR_METRICS_ADDRESS": "127.0.0.1:0",
            "WEIR_INSTANCE": self.instance,
            "WEIR_ISSUER": ISSUER,
            "WEIR_AUDIENCE": AUDIENCE,
            "WEIR_DRIFT_WINDOW_ROWS": "100000",
            "WEIR_DRIFT_STORE_INTERVAL": "0.01",
            "WEIR_DRIFT_LEASE_SECONDS": "1",
            "WEIR_SHUTDOWN_GRACE": "1",
        } | environment
        self.log_file = directory / "drift.log"
        self._token = token
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "drift"],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self._running is not None
        self._running.send_signal(number)
        return self._running.wait(15)

    @property
    def running(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def logged(self, event: str) -> int:
        return sum(line["event"] == event for line in self.logs())

    async def health(self) -> int | None:
        async with insecure_channel(self.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service="weir.drift.v1.DriftService")
            try:
                return int((await stub.Check(request, timeout=2)).status)
            except AioRpcError:
                return None

    async def is_serving(self) -> bool:
        return await self.health() == health_pb2.HealthCheckResponse.SERVING

    async def is_waiting(self) -> bool:
        return await self.health() == health_pb2.HealthCheckResponse.NOT_SERVING

    async def report(self) -> pb.Report:
        async with insecure_channel(self.address) as channel:
            stub: Any = drift_pb2_grpc.DriftServiceStub(channel)
            answer = await stub.GetReport(
                pb.GetReportRequest(model="reviews"),
                timeout=30,
                metadata=[("authorization", f"Bearer {self._token}")],
            )
        report: pb.Report = answer.report
        return report

    async def has_rows(self, rows: int) -> bool:
        return (await self.report()).window.rows == rows


@contextmanager
def process_at(directory: Path, environment: dict[str, str], token: str) -> Iterator[Process]:
    process = Process(directory, environment, token)
    try:
        yield process
    finally:
        if process.running:
            process.end(signal.SIGKILL)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "redis").mkdir()
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def process(
    tmp_path: Path, own_redis: Store, repository: Path, jwks_url: str, issuer: FakeIssuer
) -> Iterator[Process]:
    environment = {
        "WEIR_EVENTS_REDIS_URL": own_redis.url,
        "WEIR_MODEL_REPOSITORY": str(repository),
        "WEIR_JWKS_URL": jwks_url,
    }
    with process_at(tmp_path, environment, issuer.token("drift:read")) as process:
        yield process


async def publish(server: Store, events: list[Any]) -> None:
    redis = Redis.from_url(server.url)
    await EventPublisher(redis).publish(PREDICTIONS, events)
    await redis.aclose()


async def test_it_reports_and_stops_cleanly(
    process: Process, own_redis: Store, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await publish(own_redis, world.events(80))
    process.start()
    await until(process.is_serving, 90)
    await until(lambda: process.has_rows(80))
    report = await process.report()
    assert {signal.status for signal in report.signals} == {pb.SIGNAL_STATUS_MEASURED}
    assert process.end() == 0
    assert process.logged("grpc_stopped") == 1
    assert {line["level"] for line in process.logs()} == {"info"}


async def test_killed_at_any_moment_it_counts_each_prediction_once(
    process: Process, own_redis: Store, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    redis = Redis.from_url(own_redis.url)

    async def position() -> object:
        return await redis.hget(STATE_KEY, f"position:{PREDICTIONS}")

    published = 0
    killing = True

    async def feed() -> None:
        nonlocal published
        while killing:
            events = world.events(2)
            await publish(own_redis, events)
            published += len(events)
            await asyncio.sleep(0.05)

    process.start()
    feeding = asyncio.create_task(feed())
    for _ in range(3):
        before = await position()

        async def has_moved(before: object = before) -> bool:
            return await position() != before

        await until(has_moved, 90)
        process.end(signal.SIGKILL)
        process.start()
    killing = False
    await feeding
    await until(process.is_serving, 90)
    await until(lambda: process.has_rows(published), 60)
    await redis.aclose()


async def test_replica_that_is_killed_is_replaced_and_nothing_counts_twice(
    tmp_path: Path,
    process: Process,
    own_redis: Store,
    world: Any,
    write_reference: WriteReference,
    issuer: FakeIssuer,
) -> None:
    write_reference()
    redis = Redis.from_url(own_redis.url)
    (tmp_path / "second").mkdir()
    token = issuer.token("drift:read")
    with process_at(tmp_path / "second", process.given, token) as second:
        process.start()
        second.start()
        await until(second.is_serving, 90)
        await publish(own_redis, world.events(40))
        await until(lambda: second.has_rows(40), 60)
        holder = (await redis.get(f"weir:drift:lease:{PREDICTIONS}") or b"").decode()
        replicas = {each.instance: each for each in (process, second)}
        killed = replicas.pop(holder.split(":")[0])
        (other,) = replicas.values()
        await publish(own_redis, world.events(25))
        killed.end(signal.SIGKILL)
        await until(lambda: other.has_rows(65), 60)
        await publish(own_redis, world.events(10))
        await until(lambda: other.has_rows(75), 60)
    await redis.aclose()


async def test_it_waits_for_redis_and_comes_back(
    process: Process, own_redis: Store, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    own_redis.stop()
    process.start()
    await until(process.is_waiting, 90)
    own_redis.start_ready()
    await until(process.is_serving, 60)
    await publish(own_redis, world.events(40))
    await until(lambda: process.has_rows(40))
    own_redis.kill()
    await until(process.is_waiting, 60)
    own_redis.start_ready()
    await until(process.is_serving, 60)
    await publish(own_redis, world.events(10))
    await until(lambda: process.has_rows(50), 60)
    assert process.running
    assert process.logged("not_serving") == 2
    assert process.logged("serving") == 2
    assert process.end() == 0


async def test_it_stops_cleanly_while_redis_is_away(process: Process, own_redis: Store) -> None:
    own_redis.stop()
    process.start()
    await until(process.is_waiting, 90)
    assert process.end() == 0


def run_to_the_end(environment: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    finished = subprocess.run(
        [sys.executable, "-m", "drift"],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert b"Traceback" not in finished.stderr
    return finished.returncode, [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("WEIR_DRIFT_MINIMUM_ROWS", "2000", "drift_minimum_rows"),
        ("WEIR_DRIFT_WINDOW_ROWS", "20", "drift_minimum_rows"),
        ("WEIR_DRIFT_WINDOW_ROWS", "many", "drift_window_rows"),
        ("WEIR_EVENTS_REDIS_URL", "postgres://user:hush@host", "WEIR_EVENTS_REDIS_URL"),
        ("WEIR_METRICS_ADDRESS", "nowhere", "WEIR_METRICS_ADDRESS"),
        ("WEIR_MODEL_REPOSITORY", "/nonexistent", "WEIR_MODEL_REPOSITORY"),
    ],
)
def test_wrong_setting_ends_it_with_one_clear_line(
    repository: Path, name: str, value: str, told: str
) -> None:
    environment = {"WEIR_MODEL_REPOSITORY": str(repository), "WEIR_METRICS_ADDRESS": "127.0.0.1:0"}
    code, logs = run_to_the_end(environment | {name: value})
    assert code == 1
    (line,) = logs
    assert line["level"] == "error"
    assert told in json.dumps(line)
    assert "hush" not in json.dumps(line)


def test_taken_address_ends_it_with_one_error(repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, logs = run_to_the_end(
            {
                "WEIR_MODEL_REPOSITORY": str(repository),
                "WEIR_METRICS_ADDRESS": "127.0.0.1:0",
                "WEIR_GRPC_ADDRESS": f"127.0.0.1:{port}",
            }
        )
    assert code == 1
    (line,) = [log for log in logs if log["level"] != "info"]
    assert str(port) in line["reason"]
