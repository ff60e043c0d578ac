"""Replicas behind one DNS name come and go, and clients that stay follow them without a failure.

With the settings that services have by default, on addresses of loopback that a DNS server of the
test publishes as Kubernetes does for a headless Service.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc
import pytest_asyncio
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.dns import FakeDns, running_dns
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from testkit.platform import free_port
from testkit.waiting import until

NAME = "replicas.test"
METHOD = "/test.v1.Which/Ask"
CALLERS = 4
FOLLOWED_WITHIN = 5.0


@dataclass
class Replicas:
    """Servers by address; each answers with its own."""

    dns: FakeDns
    issuer: FakeIssuer
    port: int = field(default_factory=free_port)
    running: dict[str, GrpcServer] = field(default_factory=dict)

    async def start(self, *addresses: str) -> None:
        for address in addresses:
            server = GrpcServer(
                GrpcServerSettings(grpc_address=f"{address}:{self.port}"),
                verifier=AccessTokenVerifier(self.issuer, issuer=ISSUER, audience=AUDIENCE),
                scopes={METHOD: "ask"},
                tracer_provider=TracerProvider(shutdown_on_exit=False),
            )
            server.grpc.add_generic_rpc_handlers((_answering(address),))
            await server.start()
            self.running[address] = server

    def publish(self, *addresses: str) -> None:
        self.dns.publish(NAME, addresses)

    async def stop(self, *addresses: str) -> None:
        await asyncio.gather(*(self.running.pop(address).stop() for address in addresses))


def _answering(address: str) -> grpc.GenericRpcHandler:
    async def ask(_: bytes, context: object) -> bytes:
        await asyncio.sleep(0.005)
        return address.encode()

    service = METHOD.split("/")[1]
    return grpc.method_handlers_generic_handler(
        service, {"Ask": grpc.unary_unary_rpc_method_handler(ask)}
    )


@dataclass
class Calls:
    """What became of every call."""

    answers: list[tuple[float, str]] = field(default_factory=list)
    """When each came, on the monotonic clock, and from where."""
    failures: list[str] = field(default_factory=list)

    def since(self, moment: float) -> set[str]:
        return {address for when, address in self.answers if when > moment}

    def last(self, count: int) -> set[str]:
        return {address for _, address in self.answers[-count:]}

    async def go_on(self, channel: grpc.aio.Channel) -> None:
        ask = channel.unary_unary(METHOD)
        while True:
            try:
                answer = await ask(b"")
            except AioRpcError as error:
                self.failures.append(f"{error.code()}: {error.details()}")
            else:
                self.answers.append((time.monotonic(), answer.decode()))


@pytest_asyncio.fixture
async def replicas(issuer: FakeIssuer) -> AsyncIterator[Replicas]:
    with running_dns() as dns:
        replicas = Replicas(dns, issuer)
        yield replicas
        await replicas.stop(*replicas.running)


@pytest_asyncio.fixture
async def calls(replicas: Replicas, issuer: FakeIssuer) -> AsyncIterator[Calls]:
    """Callers that go on all the time over one channel."""

    async def token() -> str:
        return issuer.token("ask")

    await replicas.start("127.0.0.2")
    replicas.publish("127.0.0.2")
    calls = Calls()
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(
            open_channel(
                replicas.dns.target(NAME, replicas.port),
                token=token,
                default_timeout=5.0,
                tracer_provider=TracerProvider(shutdown_on_exit=False),
            )
        )
        callers = [asyncio.create_task(calls.go_on(channel)) for _ in range(CALLERS)]
        await until(lambda: len(calls.answers) > CALLERS or bool(calls.failures))
        yield calls
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def _all_answer(calls: Calls, replicas: Replicas, addresses: Sequence[str]) -> float:
    """Publishes the addresses alone; seconds until each of them has answered."""
    began = time.monotonic()
    replicas.publish(*addresses)
    await until(lambda: calls.since(began) >= set(addresses), 30)
    return time.monotonic() - began


async def test_new_replicas_take_calls_within_five_seconds_and_none_fails(
    calls: Calls, replicas: Replicas
) -> None:
    await replicas.start("127.0.0.3", "127.0.0.4")
    scaled = await _all_answer(calls, replicas, ["127.0.0.2", "127.0.0.3", "127.0.0.4"])

    successors = ["127.0.0.5", "127.0.0.6", "127.0.0.7"]
    await replicas.start(*successors)
    replaced = await _all_answer(calls, replicas, successors)
    await until(lambda: calls.last(50 * CALLERS) == set(successors), 30)
    await replicas.stop("127.0.0.2", "127.0.0.3", "127.0.0.4")
    stopped = len(calls.answers)
    await until(lambda: len(calls.answers) > stopped + 50 * CALLERS, within=60)

    print(f"1 to 3: {scaled:.2f} s; all replaced: {replaced:.2f} s; calls: {len(calls.answers)}")
    assert calls.failures == []
    assert scaled < FOLLOWED_WITHIN
    assert replaced < FOLLOWED_WITHIN


async def test_a_replica_that_stops_at_once_costs_no_call(calls: Calls, replicas: Replicas) -> None:
    await replicas.start("127.0.0.3")
    await _all_answer(calls, replicas, ["127.0.0.2", "127.0.0.3"])
    # Both at the same moment: the client has not even asked who is left.
    replicas.publish("127.0.0.3")
    await replicas.stop("127.0.0.2")
    stopped = len(calls.answers)
    await until(lambda: len(calls.answers) > stopped + 50 * CALLERS, within=60)
    assert calls.failures == []
