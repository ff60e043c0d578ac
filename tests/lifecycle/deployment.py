"""Replicas of one service, replaced as Kubernetes does it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count

import grpc
import httpx
from grpc.aio import AioRpcError
from grpc_health.v1 import health_pb2, health_pb2_grpc

from testkit.waiting import until
from weir_local.process import ManagedProcess, ProcessSpec

_READY_WITHIN = 90.0
_LOOK = 0.1
_addresses = count(2)
"""The last number of each replica's address in 127.0.1.0/24; none is used again."""


@dataclass(frozen=True)
class Replica:
    """One process at an address of its own."""

    address: str
    process: ManagedProcess


@dataclass
class Deployment:
    """The replicas of one service.

    Args:
        spec: how a replica is run, but for its address and name.
        variables: what tells it its address.
        is_ready: whether the replica at an address may get requests: the chart's readiness probe.
        publish: tells who balances which addresses are ready.
    """

    spec: ProcessSpec
    variables: Callable[[str], dict[str, str]]
    is_ready: Callable[[str], Awaitable[bool]]
    publish: Callable[[Sequence[str]], None]
    replicas: list[Replica] = field(default_factory=list)
    exit_codes: list[int | None] = field(default_factory=list)
    """Of those that were replaced."""
    longest_stop: float = 0.0
    """Seconds from SIGTERM to the end."""
    _number: Iterator[int] = field(default_factory=count)
    _started_ones: list[ManagedProcess] = field(default_factory=list)

    async def start(self) -> None:
        """Starts one replica, and publishes it when it is ready."""
        self.replicas.append(await self._started())
        self._publish()

    async def roll(self, spec: ProcessSpec | None = None) -> None:
        """Replaces each replica: its successor is ready before it is taken out and told to stop.

        Both happen at the same moment. In a cluster preStop's sleep lies between the two.

        Args:
            spec: of the successors, where they are of another release.
        """
        self.spec = spec or self.spec
        for old in list(self.replicas):
            self.replicas.append(await self._started())
            self.replicas.remove(old)
            self._publish()
            await self._stop(old)

    def stop_all(self) -> None:
        """Ends all that ever started, to clean up."""
        for process in self._started_ones:
            process.stop()

    async def _started(self) -> Replica:
        address = f"127.0.1.{next(_addresses)}"
        name = f"{self.spec.name}-{next(self._number)}"
        environment = {
            **self.spec.environment,
            **self.variables(address),
            "WEIR_INSTANCE": name,
        }
        log_file = self.spec.log_file.with_name(f"{name}.log")
        spec = replace(self.spec, name=name, environment=environment, log_file=log_file)
        replica = Replica(address, ManagedProcess(spec))
        # Not from another thread: a process ends with the one that started it.
        replica.process.start()
        self._started_ones.append(replica.process)
        give_up = time.monotonic() + _READY_WITHIN
        while not await self.is_ready(address):
            if time.monotonic() > give_up or not replica.process.running:
                replica.process.kill()
                raise TimeoutError(f"{name} is not ready:\n{log_file.read_text()[-2000:]}")
            await asyncio.sleep(_LOOK)
        return replica

    def _publish(self) -> None:
        self.publish([replica.address for replica in self.replicas])

    async def _stop(self, replica: Replica) -> None:
        began = time.monotonic()
        replica.process.request_stop()
        with suppress(TimeoutError):
            await until(lambda: not replica.process.running, replica.process.spec.stop_timeout)
        self.longest_stop = max(self.longest_stop, time.monotonic() - began)
        self.exit_codes.append(replica.process.exit_code)
        if replica.process.running:
            replica.process.kill()


async def answers_ready(url: str) -> bool:
    """The gateway's readiness probe."""
    try:
        async with httpx.AsyncClient(timeout=3.0) as client:
            answer = await client.get(f"{url}/health/ready")
    except httpx.TransportError:
        return False
    return answer.status_code == 200


async def says_serving(target: str, service: str) -> bool:
    """A gRPC service's readiness probe."""
    async with grpc.aio.insecure_channel(target) as channel:
        ask = health_pb2_grpc.HealthStub(channel).Check
        try:
            answer = await ask(health_pb2.HealthCheckRequest(service=service), timeout=3.0)
        except AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
