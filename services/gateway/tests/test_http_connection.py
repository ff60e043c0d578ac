"""What one connection may do, byte by byte: limits, time, and what two readers read in two ways."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.http_connection import REFUSED
from testkit.waiting import until

from .wire import PATIENCE, get, post, served, wire


class Echo:
    """Answers with what it read; keeps the targets of the requests that reached it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.body: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append(scope["path"])
        if scope["path"] == "/unread":
            await PlainTextResponse("no")(scope, receive, send)
            return
        if scope["path"] == "/endless":
            await StreamingResponse(self._endless())(scope, receive, send)
            return
        self.body = await Request(scope, receive).body()
        await PlainTextResponse(self.body)(scope, receive, send)

    @staticmethod
    async def _endless() -> Any:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0)  # as whatever makes data does


@pytest.fixture
def echo() -> Echo:
    return Echo()


async def test_requests_follow_each_other_on_one_connection(echo: Echo) -> None:
    async with served(echo) as port, wire(port) as connection:
        for body in (b"one", b"two"):
            await connection.send(post("/", f"content-length: {len(body)}", body=body))
            assert (await connection.answer())[2] == body


async def test_pipelined_requests_are_answered_in_order(echo: Echo) -> None:
    async with served(echo) as port, wire(port) as connection:
        await connection.send(
            b"".join(post("/", "content-length: 1", body=body) for body in (b"1", b"2", b"3"))
        )
        assert [(await connection.answer())[2] for _ in range(3)] == [b"1", b"2", b"3"]


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: gateway\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        post("/", "content-length: 4", "transfer-encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", "content-length: 4", body=b"0\r\n\r\n" + SMUGGLED),
        post("/", "content-length: 0", "content-length: 42", body=SMUGGLED),
        post("/", "content-length: 0, 42", body=SMUGGLED),
        post("/", "content-length: +0", body=SMUGGLED),
        post("/", "content-length: 0x0", body=SMUGGLED),
        post("/", "content-length: -1", body=SMUGGLED),
        post("/", "content-length : 0", body=SMUGGLED),
        post("/", "transfer-encoding: xchunked", body=SMUGGLED),
        post("/", "transfer-encoding: chunked, identity", body=b"0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding:\x0bchunked", body=b"0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"zz\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"-1\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"0x0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"1\r\nab\r\n0\r\n\r\n" + SMUGGLED),
        post("/", "transfer-encoding: chunked", body=b"ffffffffffffffffff\r\n" + SMUGGLED),
        post("/", "x-a: 1", " folded: 1", "content-length: 0", body=SMUGGLED),
        post("/", "x-a: 1\x00", "content-length: 0", body=SMUGGLED),
        post("/", "x-a: 1\rtransfer-encoding: chunked", body=SMUGGLED),
        post("/", "x a: 1", "content-length: 0", body=SMUGGLED),
        post("/", ": 1", "content-length: 0", body=SMUGGLED),
        b"POST / HTTP/1.1\ncontent-length: 0\n\n" + SMUGGLED,
        b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
        b"POST / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
        b"POST / HTTP/3.7\r\nhost: a\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
        b"POST / HTTP/1.1 x\r\nhost: a\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
    ],
)
async def test_what_two_readers_read_in_two_ways_is_refused(echo: Echo, sent: bytes) -> None:
    async with served(echo) as port, wire(port) as connection:
        await connection.send(sent)
        status, headers = await connection.head()
        assert status in (0, 400)
        if status:
            assert headers["connection"] == "close"
        assert "/smuggled" not in echo.reached
        assert echo.body in (None, b"")


async def test_line_feed_in_a_value_does_not_make_a_header(echo: Echo) -> None:
    async with served(echo) as port, wire(port) as connection:
        await connection.send(get("/", "x-request-id: a\nx-injected: 1"))
        status, headers = await connection.head()
        assert status in (0, 200, 400)
        assert "x-injected" not in headers


async def test_upgrade_is_ignored_and_what_follows_is_not_a_request(echo: Echo) -> None:
    async with served(echo) as port, wire(port) as connection:
        await connection.send(
            get("/", "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMA")
            + SMUGGLED
        )
        assert (await connection.head())[0] == 200
        await connection.is_closed()
        assert "/smuggled" not in echo.reached


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (get("/" + "a" * 3000), 414, "TARGET_TOO_LONG"),
        (get("/", "x-a: " + "a" * 5000), 431, "HEADERS_TOO_LARGE"),
        (get("/", *(f"x-{n}: 1" for n in range(40))), 431, "TOO_MANY_HEADERS"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "HOST_MALFORMED"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "REQUEST_MALFORMED"),
    ],
)
async def test_oversized_head_is_refused_with_a_problem(
    echo: Echo, sent: bytes, status: int, code: str
) -> None:
    limits = {"max_headers": 30, "max_header_bytes": 4096, "max_request_line_bytes": 2048}
    async with served(echo, **limits) as port, wire(port) as connection:
        await connection.send(sent)
        answered, headers, body = await connection.answer()
        assert (answered, json.loads(body)["code"]) == (status, code)
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert await connection.is_closed()
        assert echo.reached == []


async def test_ten_megabytes_of_header_are_cut_off_early(echo: Echo) -> None:
    async with served(echo) as port, wire(port) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nhost: a\r\nx-a: ")
        for _ in range(160):
            await connection.send(b"a" * 65_536)
        assert (await connection.head())[0] in (0, 431)
        assert echo.reached == []


async def test_slow_headers_are_cut_off(echo: Echo) -> None:
    async with served(echo, header_timeout=0.3) as port, wire(port) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nhost: a\r\n")
        trickle = asyncio.create_task(_trickle(connection))
        try:
            status, _, body = await connection.answer()
        finally:
            trickle.cancel()
        assert (status, json.loads(body)["code"]) == (408, "HEADERS_TOO_SLOW")


async def _trickle(connection: Any) -> None:
    while True:
        await connection.send(b"x-a: 1\r\n")
        await asyncio.sleep(0.05)


async def test_connection_that_asks_nothing_is_closed(echo: Echo) -> None:
    async with served(echo, header_timeout=0.3) as port, wire(port) as connection:
        assert await connection.is_closed()


async def test_idle_connection_is_closed(echo: Echo) -> None:
    async with served(echo, idle_timeout=1) as port, wire(port) as connection:
        await connection.send(get())
        assert (await connection.head())[0] == 200
        assert await connection.is_closed()


async def test_body_that_nobody_waits_for_does_not_keep_the_connection(echo: Echo) -> None:
    async with served(echo, stalled_timeout=0.3) as port, wire(port) as connection:
        await connection.send(post("/unread", "content-length: 1000000", body=b"x"))
        assert (await connection.answer())[2] == b"no"
        assert await connection.is_closed()


async def test_connection_is_idle_after_a_body_that_nobody_waited_for(echo: Echo) -> None:
    async with served(echo, idle_timeout=1) as port, wire(port) as connection:
        await connection.send(post("/unread", "content-length: 2", body=b"x"))
        assert (await connection.answer())[2] == b"no"
        await connection.send(b"x")
        assert await connection.is_closed()


async def test_client_that_does_not_read_its_answer_is_cut_off(echo: Echo) -> None:
    async with served(echo, stalled_timeout=0.3) as port, wire(port) as connection:
        await connection.send(get("/endless"))
        before = REFUSED.labels("ANSWER_NOT_READ")._value.get()
        assert (await connection.head())[0] == 200
        await until(lambda: REFUSED.labels("ANSWER_NOT_READ")._value.get() > before, PATIENCE)


async def test_connections_beyond_the_most_are_refused(echo: Echo) -> None:
    async with served(echo, max_connections=2) as port:
        async with wire(port) as first, wire(port) as second, wire(port) as third:
            for each in (first, second):
                await each.send(get())
                assert (await each.head())[0] == 200
            status, headers, body = await third.answer()
            assert (status, headers["retry-after"]) == (503, "1")
            assert json.loads(body)["code"] == "CONNECTIONS_EXHAUSTED"
        async with wire(port) as again:
            await again.send(get())
            assert (await again.head())[0] in (200, 503)
