"""When a service behind the gateway is not asked any more, and when it is again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import pytest_asyncio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from gateway.backend_metrics import BackendMetrics
from gateway.circuit_breaker import CircuitBreaker
from gateway.errors import BackendUnavailable
from gateway.guarded_channel import GuardedChannel
from gateway.retry_budget import RetryBudget
from servicekit import request_context

METHOD = "/weir.test.v1.TestService/{}"
Ask = Callable[..., Any]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("log", pause=1.0, failures=3, clock=clock)


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.admit()
        breaker.failed("UNAVAILABLE")


def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.admit()
    breaker.failed("UNAVAILABLE")
    with pytest.raises(BackendUnavailable) as refused:
        breaker.admit()
    assert (refused.value.code, refused.value.retry_after) == ("BACKEND_UNAVAILABLE", 1.0)


def test_an_answer_between_failures_keeps_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        fail(breaker, 2)
        breaker.succeeded()
    breaker.admit()


def test_one_probe_passes_after_the_pause_and_closes_it(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.admit()
    with pytest.raises(BackendUnavailable):
        breaker.admit()
    breaker.succeeded()
    for _ in range(5):
        breaker.admit()


def test_a_probe_that_fails_or_never_ends_begins_another_pause(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.admit()
    clock.now += 0.5
    breaker.failed("DEADLINE_EXCEEDED")
    clock.now += 0.9
    with pytest.raises(BackendUnavailable):
        breaker.admit()
    clock.now += 0.1
    breaker.admit()  # its caller went away: nothing is told
    clock.now += 1.0
    breaker.admit()


def test_each_change_of_state_is_one_line(breaker: CircuitBreaker, clock: Clock) -> None:
    with structlog.testing.capture_logs() as logs:
        fail(breaker, 3)
        for _ in range(3):
            clock.now += 1.0
            fail(breaker, 1)
        clock.now += 1.0
        breaker.admit()
        breaker.succeeded()
    assert [line["event"] for line in logs] == ["backend_away", "backend_back"]


def test_retries_are_at_most_a_tenth_in_the_long_run() -> None:
    budget = RetryBudget("budget-test")
    made = 0
    for _ in range(1000):
        budget.earn()
        made += budget.spend()
    assert 90 <= made <= 110


class Service:
    """Fails as a test says, then answers."""

    def __init__(self) -> None:
        self.calls = 0
        self.failing = 0
        self.code = grpc.StatusCode.UNAVAILABLE
        self.trailers: tuple[tuple[str, bytes], ...] = ()

    async def answer(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        if self.calls <= self.failing:
            context.set_trailing_metadata(self.trailers)
            await context.abort(self.code, "no")
        return b"answer"


@pytest.fixture
def service() -> Service:
    return Service()


@asynccontextmanager
async def listening(service: Service, address: str) -> AsyncIterator[None]:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(service.answer)
    names = ("GetThing", "MakeThing")
    server.add_registered_method_handlers("weir.test.v1.TestService", dict.fromkeys(names, handler))
    generic = grpc.method_handlers_generic_handler(
        "weir.test.v1.TestService", dict.fromkeys(names, handler)
    )
    server.add_generic_rpc_handlers((generic,))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(address)
    await server.start()
    yield
    await server.stop(0)


@pytest_asyncio.fixture
async def server(service: Service, tmp_path: Path) -> AsyncIterator[str]:
    address = f"unix:{tmp_path}/test.sock"
    async with listening(service, address):
        yield address


def asking(channel: grpc.aio.Channel, *, slow: float = 0.05) -> tuple[Ask, CircuitBreaker]:
    breaker = CircuitBreaker("test", pause=60.0, failures=3)
    wrapped = GuardedChannel(
        channel,
        breaker,
        RetryBudget("test"),
        slow=slow,
        metrics=BackendMetrics("test"),
        random=Random(7),
    )

    def ask(name: str, **about: Any) -> Any:
        return wrapped.unary_unary(METHOD.format(name))(b"request", **about)

    return ask, breaker


async def test_query_that_found_nobody_is_made_again_once(server: str, service: Service) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        ask, _ = asking(channel)
        service.failing = 1
        assert await ask("GetThing") == b"answer"
        assert service.calls == 2
        service.calls, service.failing = 0, 9
        with pytest.raises(grpc.aio.AioRpcError):
            await ask("GetThing")
        assert service.calls == 2


async def test_what_may_have_been_done_is_not_done_again(server: str, service: Service) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        ask, _ = asking(channel)
        service.failing = 9
        with pytest.raises(grpc.aio.AioRpcError):
            await ask("MakeThing")
        assert service.calls == 1


async def test_service_that_says_that_it_serves_is_asked_again_at_once(server: str) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        ask, breaker = asking(channel)
        fail(breaker, 3)
        with pytest.raises(BackendUnavailable):
            await ask("GetThing")
        wrapped = GuardedChannel(
            channel, breaker, RetryBudget("test"), slow=1.0, metrics=BackendMetrics("test")
        )
        check = health_pb2_grpc.HealthStub(wrapped).Check
        with pytest.raises(grpc.aio.AioRpcError):
            await check(health_pb2.HealthCheckRequest(service="nobody"))
        with pytest.raises(BackendUnavailable):
            await ask("GetThing")
        await check(health_pb2.HealthCheckRequest())
        assert await ask("GetThing") == b"answer"


async def test_call_that_was_never_sent_is_made_again(tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/nobody.sock") as channel:
        ask, breaker = asking(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await ask("MakeThing")
        # Two tries, two failures: a third one opens the breaker.
        breaker.admit()
        breaker.failed("UNAVAILABLE")
        with pytest.raises(BackendUnavailable):
            await ask("MakeThing")


async def test_nothing_is_made_again_when_the_time_is_nearly_up(
    server: str, service: Service
) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        ask, _ = asking(channel)
        service.failing = 1
        token = request_context.deadline.set(0.0)
        try:
            with pytest.raises(grpc.aio.AioRpcError):
                await ask("GetThing")
        finally:
            request_context.deadline.reset(token)
        assert service.calls == 1


async def test_service_that_says_why_it_refuses_is_there(server: str, service: Service) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        ask, breaker = asking(channel)
        service.failing = 9
        service.trailers = (("grpc-status-details-bin", b""),)
        for _ in range(5):
            with pytest.raises(grpc.aio.AioRpcError):
                await ask("GetThing")
        assert service.calls == 5
        breaker.admit()


@pytest.mark.parametrize(("slow", "opens"), [(0.0, True), (60.0, False)])
async def test_silence_counts_only_where_the_service_had_its_time(
    server: str, service: Service, slow: float, opens: bool
) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        ask, _ = asking(channel, slow=slow)
        service.failing, service.code = 9, grpc.StatusCode.DEADLINE_EXCEEDED
        refusals = 0
        for _ in range(4):
            try:
                await ask("GetThing")
            except BackendUnavailable:
                refusals += 1
            except grpc.aio.AioRpcError:
                pass
        assert refusals == opens


async def test_connection_that_is_there_again_is_worth_a_probe_at_once(
    service: Service, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/later.sock"
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        ask, breaker = asking(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await ask("MakeThing")
        fail(breaker, 1)
        with pytest.raises(BackendUnavailable):
            await ask("MakeThing")
        async with listening(service, address):
            channel.get_state(try_to_connect=True)
            await channel.channel_ready()
            assert await ask("MakeThing") == b"answer"
            fail(breaker, 3)
            with pytest.raises(BackendUnavailable):
                await ask("MakeThing")
