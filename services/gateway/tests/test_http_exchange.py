"""How an answer leaves: whole in one piece, and as it comes where it is a stream."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.client_presence import ClientPresence
from gateway.request_body import read_body
from gateway.request_errors import BodyTooLarge

from .wire import PATIENCE, get, post, served, wire


class Answers:
    """Answers each path in a way of its own."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/stream":
                await StreamingResponse(self._stream())(scope, receive, send)
            case "/large":
                await PlainTextResponse(b"x" * 1_000_000)(scope, receive, send)
            case "/nothing":
                await Response(status_code=204)(scope, receive, send)
            case "/parts":
                headers = [(b"content-length", b"6")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": b"one", "more_body": True})
                await send({"type": "http.response.body", "body": b"two"})
            case "/broken":
                headers = [(b"content-length", b"6")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                raise ValueError("half an answer")
            case "/short" | "/long" as path:
                headers = [(b"content-length", b"6" if path == "/short" else b"2")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": b"one"})
            case "/injected":
                headers = [(b"content-length", b"0"), (b"x-a", b"1\r\nx-injected: 1")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
            case "/closing":
                await PlainTextResponse("bye", headers={"connection": "close"})(
                    scope, receive, send
                )
            case _:
                await PlainTextResponse("whole")(scope, receive, send)

    async def _stream(self) -> AsyncIterator[bytes]:
        await self.may_go_on.wait()
        yield b"late"


@pytest.fixture
def answers() -> Answers:
    return Answers()


async def test_a_small_answer_arrives_in_one_piece(answers: Answers) -> None:
    async with served(answers) as port:
        with socket.socket() as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", port))
            for _ in range(20):
                await loop.sock_sendall(client, get("/"))
                async with asyncio.timeout(PATIENCE):
                    piece = await loop.sock_recv(client, 65_536)
                assert piece.startswith(b"HTTP/1.1 200 OK\r\n")
                assert piece.endswith(b"\r\n\r\nwhole")


async def test_head_of_a_stream_does_not_wait_for_its_data(answers: Answers) -> None:
    async with served(answers) as port, wire(port) as connection:
        await connection.send(get("/stream"))
        status, headers = await connection.head()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        answers.may_go_on.set()


@pytest.mark.parametrize(
    ("path", "body"), [("/large", b"x" * 1_000_000), ("/parts", b"onetwo"), ("/", b"whole")]
)
async def test_the_connection_goes_on_after_an_answer(
    answers: Answers, path: str, body: bytes
) -> None:
    async with served(answers) as port, wire(port) as connection:
        for _ in range(2):
            await connection.send(get(path))
            status, headers, answered = await connection.answer()
            assert (status, answered) == (200, body)
            assert "connection" not in headers


async def test_answers_without_a_body_have_none(answers: Answers) -> None:
    async with served(answers) as port, wire(port) as connection:
        await connection.send(b"HEAD / HTTP/1.1\r\nhost: gateway\r\n\r\n")
        status, headers = await connection.head()
        assert (status, headers["content-length"]) == (200, "5")
        await connection.send(get("/nothing"))
        assert (await connection.head())[0] == 204
        await connection.send(get("/"))
        assert (await connection.answer())[2] == b"whole"


@pytest.mark.parametrize(
    "asked",
    [
        get("/closing"),
        get("/", "connection: close"),
        b"GET / HTTP/1.0\r\nhost: gateway\r\n\r\n",
    ],
)
async def test_the_last_answer_of_a_connection_says_so(answers: Answers, asked: bytes) -> None:
    async with served(answers) as port, wire(port) as connection:
        await connection.send(asked)
        status, headers, body = await connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert body in (b"bye", b"whole")
        assert await connection.is_closed()


async def test_a_body_is_asked_for_before_its_answer(answers: Answers) -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        await PlainTextResponse(message["body"])(scope, receive, send)

    async with served(reading) as port, wire(port) as connection:
        await connection.send(post("/", "content-length: 2", "expect: 100-continue"))
        assert (await connection.head())[0] == 100
        await connection.send(b"ok")
        assert (await connection.answer())[2] == b"ok"


async def test_half_an_answer_is_told_to_be_none(answers: Answers) -> None:
    async with served(answers) as port, wire(port) as connection:
        await connection.send(get("/broken"))
        assert (await connection.head())[0] == 500


@pytest.mark.parametrize("path", ["/short", "/long", "/injected"])
async def test_an_answer_that_would_mislead_its_reader_is_broken_off(
    answers: Answers, path: str
) -> None:
    async with served(answers) as port, wire(port) as connection:
        await connection.send(get(path) + get("/"))
        status, headers = await connection.head()
        assert "x-injected" not in headers
        if status:
            assert path != "/injected"
        # No second answer that could be taken for the first one's rest.
        await connection.send(get("/"))
        assert (await connection.head())[0] == 0


@pytest.mark.parametrize("pieces", [[b"whole"], [b"in", b" parts"], [b"x" * 200_000]])
async def test_a_body_is_read_whole_however_it_comes(pieces: list[bytes]) -> None:
    begun = asyncio.Event()

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        body = await read_body(Request(scope, receive), 200_000)
        await PlainTextResponse(body)(scope, receive, send)

    sent = b"".join(pieces)
    async with served(echo) as port, wire(port) as connection:
        for _ in range(2):
            begun.clear()
            first, *rest = pieces
            await connection.send(post("/", f"content-length: {len(sent)}", body=first))
            await begun.wait()
            for piece in rest:
                await connection.send(piece)
            assert (await connection.answer())[2] == sent


async def test_a_body_that_is_there_may_not_be_too_large_either() -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(BodyTooLarge):
            await read_body(Request(scope, receive), 4)
        await PlainTextResponse("no")(scope, receive, send)

    async with served(refusing) as port, wire(port) as connection:
        await connection.send(post("/", "content-length: 5", body=b"12345"))
        assert (await connection.answer())[2] == b"no"


@pytest.mark.parametrize("wrapped", [False, True])
async def test_who_answers_hears_that_the_client_has_left(wrapped: bool) -> None:
    watching, gone = asyncio.Event(), asyncio.Event()

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def through() -> Message:
            return await receive()

        channel = through if wrapped else receive
        await read_body(Request(scope, channel), 100)
        with ClientPresence(channel).watched(gone.set):
            watching.set()
            await gone.wait()

    async with served(answering) as port, asyncio.timeout(PATIENCE):
        async with wire(port) as connection:
            await connection.send(post("/", "content-length: 2", body=b"ok"))
            await watching.wait()
            assert not gone.is_set()
        await gone.wait()


async def test_who_watches_too_late_hears_it_too() -> None:
    gone = asyncio.Event()

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        with ClientPresence(receive).watched(gone.set):
            await gone.wait()

    async with served(answering) as port, asyncio.timeout(PATIENCE):
        async with wire(port) as connection:
            await connection.send(post("/", "content-length: 2", body=b"ok"))
        await gone.wait()
