"""Which traces are recorded, and what the others still carry, within a process and over gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from servicekit.telemetry import current_trace_id, current_traceparent
from servicekit.trace_sampling import (
    NewTraceSampler,
    begins_recorded,
    parse_traceparent,
    recorded,
    unrecorded,
)
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_idle_service_records_each_new_trace_and_a_busy_one_so_many_a_second() -> None:
    now = 0.0
    sampler = NewTraceSampler(1.0, 2.0, clock=lambda: now)
    assert [begins_recorded(sampler) for _ in range(11)] == [True] * 10 + [False]
    now = 0.4
    assert not begins_recorded(sampler)
    now = 0.5
    assert [begins_recorded(sampler) for _ in range(2)] == [True, False]
    now = 1000.0
    assert sum(begins_recorded(sampler) for _ in range(50)) == 10


def test_ratio_of_nothing_records_nothing() -> None:
    assert not any(begins_recorded(NewTraceSampler(0.0, 0.0)) for _ in range(100))


def test_without_a_bound_chance_alone_decides() -> None:
    assert all(begins_recorded(NewTraceSampler(1.0, 0.0)) for _ in range(1000))
    half = sum(begins_recorded(NewTraceSampler(0.5, 0.0)) for _ in range(1000))
    assert 300 < half < 700


def test_trace_that_was_decided_on_is_not_decided_on_again() -> None:
    sampler = NewTraceSampler(0.0, 0.0)
    with recorded():
        assert begins_recorded(sampler)
    assert not begins_recorded(sampler)


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "nonsense", f"00-{TRACE}-00f067aa0ba902b7", f"ff-{TRACE}-00f067aa0ba902b7-01"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
    ],
)
def test_malformed_traceparent_is_none(value: str | None) -> None:
    assert parse_traceparent(value) is None


def test_traceparent_tells_whether_its_trace_is_recorded() -> None:
    for flags, sampled in (("00", False), ("01", True), ("03", True)):
        span = parse_traceparent(f"00-{TRACE}-00f067aa0ba902b7-{flags}")
        assert span is not None
        assert (f"{span.trace_id:032x}", span.trace_flags.sampled) == (TRACE, sampled)


def test_unrecorded_trace_has_ids_all_the_same() -> None:
    with unrecorded(None):
        assert len(current_trace_id()) == 32
        assert current_traceparent().endswith("-00")
    assert current_trace_id() == ""
    with unrecorded(parse_traceparent(f"00-{TRACE}-00f067aa0ba902b7-00")):
        assert current_trace_id() == TRACE


class Echo:
    """Answers with the traceparent that it finds itself in."""

    def handler(self) -> grpc.GenericRpcHandler:
        async def call(_: bytes, __: object) -> bytes:
            return current_traceparent().encode()

        return grpc.method_handlers_generic_handler(
            "test.v1.Echo", {"Say": grpc.unary_unary_rpc_method_handler(call)}
        )


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    sampler = ParentBased(NewTraceSampler(1.0, 0.0))
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


@pytest_asyncio.fixture
async def channel(
    tmp_path: Path, issuer: FakeIssuer, provider: TracerProvider
) -> AsyncIterator[grpc.aio.Channel]:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={"/test.v1.Echo/Say": "echo:say"},
        tracer_provider=provider,
    )
    server.grpc.add_generic_rpc_handlers((Echo().handler(),))

    async def token() -> str:
        return issuer.token("echo:say")

    async with (
        server,
        open_channel(
            address, token=token, default_timeout=20.0, tracer_provider=provider
        ) as channel,
    ):
        yield channel


async def test_recorded_call_leaves_a_span_on_either_side(
    channel: grpc.aio.Channel, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    with provider.get_tracer("test").start_as_current_span("outer"):
        trace_id = current_trace_id()
        inside = await channel.unary_unary("/test.v1.Echo/Say")(b"")
    remote = parse_traceparent(inside.decode())
    assert remote is not None
    assert (f"{remote.trace_id:032x}", remote.trace_flags.sampled) == (trace_id, True)
    assert len({span.context.span_id for span in spans.get_finished_spans() if span.context}) == 3


async def test_unrecorded_call_leaves_none_and_keeps_its_trace(
    channel: grpc.aio.Channel, spans: InMemorySpanExporter
) -> None:
    with unrecorded(parse_traceparent(f"00-{TRACE}-00f067aa0ba902b7-00")):
        inside = await channel.unary_unary("/test.v1.Echo/Say")(b"")
    assert inside.decode().split("-")[1] == TRACE
    assert inside.endswith(b"-00")
    assert not spans.get_finished_spans()
