"""Calls with streams of messages pass the same gates as any other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import StringValue
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY

from servicekit import request_context
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import (
    DeadlineExceeded,
    Exhausted,
    Internal,
    InvalidInput,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

SERVICE = "test.v1.Streams"
SHAPES = ("Say", "Gather", "Scatter", "Talk")
BAD_UTF8 = b"\x0a\x02\xff\xff"
Call = Callable[..., Awaitable[list[str]]]


class Words:
    """Answers with the words that it hears; a test replaces what is done with each."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.hear: Callable[[str], Awaitable[None]] = self.accept

    async def accept(self, word: str) -> None:
        assert request_context.principal.get().tenant == "tenant-1"

    async def say(self, request: StringValue, _: Any) -> StringValue:
        await self.hear(request.value)
        return request

    async def gather(self, requests: AsyncIterator[StringValue], _: Any) -> StringValue:
        try:
            words = []
            async for request in requests:
                await self.hear(request.value)
                words.append(request.value)
            return StringValue(value=" ".join(words))
        finally:
            self.ended.set()

    async def scatter(self, request: StringValue, _: Any) -> AsyncIterator[StringValue]:
        try:
            for word in request.value.split():
                await self.hear(word)
                yield StringValue(value=word)
        finally:
            self.ended.set()

    async def talk(
        self, requests: AsyncIterator[StringValue], _: Any
    ) -> AsyncIterator[StringValue]:
        async for request in requests:
            await self.hear(request.value)
            yield request

    def handler(self) -> grpc.GenericRpcHandler:
        read, write = StringValue.FromString, StringValue.SerializeToString
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Say": grpc.unary_unary_rpc_method_handler(self.say, read, write),
                "Gather": grpc.stream_unary_rpc_method_handler(self.gather, read, write),
                "Scatter": grpc.unary_stream_rpc_method_handler(self.scatter, read, write),
                "Talk": grpc.stream_stream_rpc_method_handler(self.talk, read, write),
                "Hidden": grpc.unary_stream_rpc_method_handler(self.scatter, read, write),
            },
        )


@pytest_asyncio.fixture
async def words() -> Words:
    return Words()


@pytest_asyncio.fixture
async def channel(
    tmp_path: Path, words: Words, issuer: FakeIssuer
) -> AsyncIterator[grpc.aio.Channel]:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(
        GrpcServerSettings(
            grpc_address=address,
            grpc_default_timeout=0.2,
            grpc_stream_timeout=5.0,
            grpc_max_message_bytes=1000,
            shutdown_grace=0.1,
        ),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={f"/{SERVICE}/{shape}": "words:say" for shape in SHAPES},
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    server.grpc.add_generic_rpc_handlers((words.handler(),))
    async with server, grpc.aio.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def call(channel: grpc.aio.Channel, issuer: FakeIssuer) -> Call:
    async def call(
        method: str,
        messages: Iterable[bytes] = (),
        *,
        token: str | None = None,
        seconds: float = 10.0,
    ) -> list[str]:
        sent = list(messages) or [StringValue(value="one two").SerializeToString()]
        token = issuer.token("words:say") if token is None else token
        options: Any = {"metadata": (("authorization", f"Bearer {token}"),), "timeout": seconds}
        path = f"/{SERVICE}/{method}"
        read = StringValue.FromString
        try:
            if method == "Say":
                say: Any = channel.unary_unary(path, response_deserializer=read)
                return [(await say(sent[0], **options)).value]
            if method == "Gather":
                gather: Any = channel.stream_unary(path, response_deserializer=read)
                return [(await gather(iter(sent), **options)).value]
            if method == "Talk":
                talk: Any = channel.stream_stream(path, response_deserializer=read)
                return [message.value async for message in talk(iter(sent), **options)]
            scatter: Any = channel.unary_stream(path, response_deserializer=read)
            return [message.value async for message in scatter(sent[0], **options)]
        except AioRpcError as error:
            raise from_rpc_error(error, "words") from error

    return call


async def test_every_shape_is_answered(call: Call) -> None:
    assert await call("Say") == ["one two"]
    assert await call("Gather") == ["one two"]
    assert await call("Scatter") == ["one", "two"]
    assert await call("Talk") == ["one two"]


@pytest.mark.parametrize("method", SHAPES)
async def test_every_shape_needs_a_token_with_the_scope(
    call: Call, issuer: FakeIssuer, method: str
) -> None:
    with pytest.raises(Unauthenticated):
        await call(method, token="")
    with pytest.raises(PermissionDenied, match="words:say"):
        await call(method, token=issuer.token("words:hear"))


async def test_stream_that_no_scope_names_is_denied(call: Call) -> None:
    with pytest.raises(PermissionDenied, match="not open to anybody"):
        await call("Hidden")


@pytest.mark.parametrize("method", SHAPES)
async def test_error_amid_a_stream_arrives_as_it_was_raised(
    call: Call, words: Words, method: str
) -> None:
    async def refuse(_: str) -> None:
        raise Unavailable("Away.", reason="WORDS_AWAY", retry_after=2.0)

    words.hear = refuse
    with pytest.raises(Unavailable) as caught:
        await call(method)
    assert (caught.value.code, caught.value.retry_after) == ("WORDS_AWAY", 2.0)


@pytest.mark.parametrize("method", SHAPES)
async def test_unexpected_error_amid_a_stream_stays_inside(
    call: Call, words: Words, method: str
) -> None:
    async def fail(_: str) -> None:
        raise RuntimeError("SELECT secret")

    words.hear = fail
    with pytest.raises(Internal) as caught:
        await call(method)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("method", SHAPES)
async def test_bytes_that_are_no_message_are_refused_as_such(call: Call, method: str) -> None:
    for garbage in (BAD_UTF8, b"\xff" * 9):
        with pytest.raises(InvalidInput) as caught:
            await call(method, [garbage])
        assert caught.value.code == "REQUEST_MALFORMED"


async def test_garbage_without_a_token_tells_nothing(call: Call) -> None:
    with pytest.raises(Unauthenticated):
        await call("Say", [BAD_UTF8], token="")


@pytest.mark.parametrize("method", SHAPES)
async def test_message_over_the_limit_is_refused(call: Call, method: str) -> None:
    small = StringValue(value="x").SerializeToString()
    large = StringValue(value="x" * 2000).SerializeToString()
    for messages in ([large], [small, large]):
        if method in ("Say", "Scatter") and messages[0] is small:
            continue
        with pytest.raises(Exhausted):
            await call(method, messages)


async def test_stream_may_take_longer_than_another_call(call: Call, words: Words) -> None:
    async def wait(_: str) -> None:
        left = request_context.time_left(60)
        assert 1 < left <= 5
        await asyncio.sleep(0.3)

    words.hear = wait
    assert await call("Gather") == ["one two"]
    assert await call("Scatter") == ["one", "two"]


async def test_stream_past_its_deadline_is_ended(call: Call, words: Words) -> None:
    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    words.hear = hang
    for method in ("Gather", "Scatter"):
        words.ended.clear()
        with pytest.raises(DeadlineExceeded):
            await call(method, seconds=0.3)
        await asyncio.wait_for(words.ended.wait(), 5)


async def test_abandoned_stream_ends_inside_and_is_counted_as_cancelled(
    channel: grpc.aio.Channel,
    call: Call,
    issuer: FakeIssuer,
    words: Words,
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = {"method": f"/{SERVICE}/Scatter", "code": "CANCELLED"}
    before = REGISTRY.get_sample_value("weir_grpc_server_calls_total", labels) or 0
    scatter: Any = channel.unary_stream(
        f"/{SERVICE}/Scatter", response_deserializer=StringValue.FromString
    )
    endless = StringValue(value="w " * 400).SerializeToString()
    token = issuer.token("words:say")
    stream = scatter(endless, metadata=(("authorization", f"Bearer {token}"),))
    assert (await anext(aiter(stream))).value == "w"
    stream.cancel()
    await asyncio.wait_for(words.ended.wait(), 5)
    # By the time that another call was answered the first one is over on all levels.
    assert await call("Say") == ["one two"]
    assert REGISTRY.get_sample_value("weir_grpc_server_calls_total", labels) == before + 1
    assert not caplog.records
