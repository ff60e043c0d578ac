"""A call through the real client, server and interceptors, on a Unix socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
import structlog
from grpc.aio import AioRpcError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider

from servicekit import request_context
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import (
    DeadlineExceeded,
    Exhausted,
    FieldViolation,
    Internal,
    InvalidInput,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from servicekit.grpc_client import open_channel
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

SERVICE = "test.v1.Echo"
Answer = Callable[[bytes], Awaitable[bytes]]
Call = Callable[..., Awaitable[bytes]]


async def echo(request: bytes) -> bytes:
    return request


class Echo:
    """A service whose answer a test replaces."""

    def __init__(self) -> None:
        self.answer: Answer = echo

    def handler(self) -> grpc.GenericRpcHandler:
        async def call(request: bytes, _: object) -> bytes:
            return await self.answer(request)

        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Say": grpc.unary_unary_rpc_method_handler(call),
                "Hidden": grpc.unary_unary_rpc_method_handler(call),
            },
        )


@pytest.fixture
def service() -> Echo:
    return Echo()


@pytest_asyncio.fixture
async def address(tmp_path: Path, service: Echo, issuer: FakeIssuer) -> AsyncIterator[str]:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, grpc_default_timeout=2.0, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={f"/{SERVICE}/Say": "echo:say"},
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    server.grpc.add_generic_rpc_handlers((service.handler(),))
    server.expose(SERVICE)
    async with server:
        await server.set_serving(True)
        yield address


@pytest.fixture
def say(address: str, issuer: FakeIssuer) -> Call:
    async def call(
        request: bytes = b"hello", *, token: str | None = None, method: str = "Say"
    ) -> bytes:
        async def source() -> str:
            return token if token is not None else issuer.token("echo:say")

        channel = open_channel(
            address,
            token=source,
            default_timeout=1.0,
            tracer_provider=TracerProvider(shutdown_on_exit=False),
        )
        async with channel:
            try:
                reply: bytes = await channel.unary_unary(f"/{SERVICE}/{method}")(request)
            except AioRpcError as error:
                raise from_rpc_error(error, "echo") from error
            return reply

    return call


async def test_call_with_the_right_scope_is_answered(say: Call) -> None:
    assert await say(b"hello") == b"hello"


async def test_servicer_sees_principal_request_id_and_deadline(say: Call, service: Echo) -> None:
    async def answer(_: bytes) -> bytes:
        principal = request_context.principal.get()
        # The client allows 1 s, which gRPC may round up; the server alone would allow 2 s.
        assert 0 < request_context.time_left(60) < 1.5
        return (
            f"{principal.client_id} {principal.tenant} {request_context.request_id.get()}".encode()
        )

    service.answer = answer
    request_context.request_id.set("req-7")
    assert await say() == b"client-1 tenant-1 req-7"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_call_without_a_valid_token_is_unauthenticated(say: Call, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await say(token=token)


async def test_call_without_any_metadata_is_unauthenticated(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(AioRpcError) as caught:
            await channel.unary_unary(f"/{SERVICE}/Say")(b"")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_missing_scope_is_denied(say: Call, issuer: FakeIssuer) -> None:
    with pytest.raises(PermissionDenied, match="echo:say"):
        await say(token=issuer.token("echo:listen"))


async def test_method_that_no_scope_names_is_denied(say: Call) -> None:
    with pytest.raises(PermissionDenied):
        await say(method="Hidden")


@pytest.mark.parametrize(
    "raised",
    [
        InvalidInput("Wrong.", violations=[FieldViolation("items[0].text", "is blank")]),
        Exhausted("Full.", reason="QUEUE_FULL", retry_after=0.25),
        Unavailable("Away.", retry_after=1.5),
    ],
)
async def test_service_error_arrives_as_it_was_raised(
    say: Call, service: Echo, raised: ServiceError
) -> None:
    async def answer(_: bytes) -> bytes:
        raise raised

    service.answer = answer
    with pytest.raises(type(raised)) as caught:
        await say()
    assert caught.value.message == raised.message
    assert caught.value.code == raised.code
    assert caught.value.violations == raised.violations
    assert caught.value.retry_after == raised.retry_after


async def test_unexpected_error_stays_inside(say: Call, service: Echo) -> None:
    async def answer(_: bytes) -> bytes:
        raise RuntimeError("SELECT secret")

    service.answer = answer
    # Captured, since drawing the traceback for people takes longer than the call may.
    with structlog.testing.capture_logs() as logs, pytest.raises(Internal) as caught:
        await say()
    assert "secret" not in caught.value.message
    assert "unexpected_error" in [entry["event"] for entry in logs]


async def test_call_past_its_deadline_is_ended(say: Call, service: Echo) -> None:
    ended = asyncio.Event()

    async def answer(_: bytes) -> bytes:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return b""

    service.answer = answer
    with pytest.raises(DeadlineExceeded):
        await say()
    await asyncio.wait_for(ended.wait(), 1)


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    async def token() -> str:
        return "any"

    channel = open_channel(
        f"unix:{tmp_path}/absent.sock",
        token=token,
        default_timeout=1.0,
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    async with channel:
        with pytest.raises(AioRpcError) as caught:
            await channel.unary_unary(f"/{SERVICE}/Say")(b"")
    error = from_rpc_error(caught.value, "echo")
    assert isinstance(error, Unavailable)
    assert error.code == "ECHO_UNAVAILABLE"
    assert str(tmp_path) not in error.message
    assert error.retry_after is not None


async def test_health_is_public_and_tells_each_service(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_address_in_use_is_named(tmp_path: Path, issuer: FakeIssuer) -> None:
    def server(address: str) -> GrpcServer:
        return GrpcServer(
            GrpcServerSettings(grpc_address=address),
            verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
            scopes={},
            tracer_provider=TracerProvider(shutdown_on_exit=False),
        )

    async with server("127.0.0.1:0") as first:
        with pytest.raises(OSError, match=first.address):
            await server(first.address).start()
