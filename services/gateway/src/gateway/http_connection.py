"""One HTTP connection: what may come over it, and how slowly.

Uvicorn's protocol reads requests; this one bounds them before there is a request to answer: the
request line, the headers, the time that both take, and connections that nobody uses. What a proxy
in front might read in another way than we do (request smuggling) is refused, never interpreted.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httptools
from prometheus_client import Counter, Gauge
from starlette.types import Scope

from gateway.http_exchange import Exchange, ExchangingProtocol, WholeAnswer

REFUSED = Counter(
    "weir_http_refused_connections_total",
    "Connections closed before a request of theirs could be answered.",
    ["reason"],
)
for _reason in ("NO_REQUEST", "BODY_TOO_SLOW", "ANSWER_NOT_READ"):
    REFUSED.labels(_reason)
Refuse = Callable[[Scope], WholeAnswer | None]
"""Answers a request that will be refused anyway; None for all others."""
CONNECTIONS = Gauge("weir_http_connections", "Open HTTP connections.")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of one connection, and how many there may be."""

    connections: int = 2048
    request_line_bytes: int = 8192
    headers: int = 100
    header_bytes: int = 32_768
    """Names and values of all."""
    header_seconds: float = 10.0
    """From a head's first byte to its end; a new connection's first head begins at once."""
    idle_seconds: float = 30.0
    """Between two requests."""
    stalled_seconds: float = 30.0
    """While the client does not read what it asked for, or goes on with a body that was refused."""


@dataclass(slots=True)
class Departure:
    """Whether the server is about to stop; its connections share it."""

    begun: bool = False


class _Refused(Exception):
    """Stops the parser; what to answer is kept by the connection."""


class Connection(ExchangingProtocol):
    """Uvicorn's protocol within limits."""

    def __init__(
        self,
        *args: Any,
        limits: ConnectionLimits,
        departure: Departure,
        refuse: Refuse | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._departure = departure
        self._refuse_early = refuse
        self._refusal = (400, "REQUEST_MALFORMED", "This is not HTTP as RFC 9112 has it.")
        self._head_bytes = 0
        self._hosts = 0
        self._in_head = False
        self._began = False
        self._in_body = False
        self._closing: asyncio.TimerHandle | None = None
        """Closes the connection unless what it waits for happens."""
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for a request (asyncio's own hook)."""
        super().connection_made(cast("asyncio.Transport", transport))
        CONNECTIONS.set(len(self.connections))
        if len(self.connections) > self._limits.connections:
            self._refuse(503, "CONNECTIONS_EXHAUSTED", "Too many connections are open.")
            return
        self._close_in(self._limits.header_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets what was waited for (asyncio's own hook)."""
        self._keep_open()
        self._progressed()
        super().connection_lost(exc)
        CONNECTIONS.set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Reads on (asyncio's own hook)."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._began = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing but HTTP/1.1 is spoken here; what follows the request is not read as such.
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._answer_refusal()
            return
        if not self._in_head:
            return
        if not self._began:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes + self._limits.request_line_bytes:
                self._refuse(431, "HEADERS_TOO_LARGE", "The headers are too large.")
                return
        if self._closing is None:
            self._close_in(self._limits.header_seconds, self._head_is_late)

    def on_message_begin(self) -> None:
        """A head's first byte was read."""
        super().on_message_begin()
        self._in_head = self._began = True
        self._in_body = False
        self._head_bytes = self._hosts = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request line was read."""
        self.url += url
        if len(self.url) > self._limits.request_line_bytes:
            self._deny(414, "TARGET_TOO_LONG", "The request's target is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, was read."""
        name = name.lower()
        headers = self.headers
        headers.append((name, value))
        self._head_bytes += len(name) + len(value)
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        if len(headers) > self._limits.headers:
            self._deny(431, "TOO_MANY_HEADERS", "There are too many headers.")
        if self._head_bytes > self._limits.header_bytes:
            self._deny(431, "HEADERS_TOO_LARGE", "The headers are too large.")

    def on_headers_complete(self) -> None:
        """A head is complete: the request is answered from now on."""
        # RFC 9112, 3.2: one Host, and always one in HTTP/1.1.
        if self._hosts > 1 or (not self._hosts and self.parser.get_http_version() == "1.1"):
            self._deny(400, "HOST_MALFORMED", "The request needs exactly one Host header.")
        self._in_head = False
        self._in_body = True
        if self._closing is not None:
            self._keep_open()
        super().on_headers_complete()
        if self._departure.begun:
            # The answer says so, and the client opens its next connection elsewhere.
            self.cycle.keep_alive = False

    def answered_early(self, exchange: Exchange) -> bool:
        """Refuses a request whose refusal is certain, and ends nothing with it."""
        if (
            self._refuse_early is None
            or not exchange.keep_alive
            or self._departure.begun
            or self.flow.write_paused
        ):
            return False
        answer = self._refuse_early(cast("Scope", exchange.scope))
        return answer is not None and exchange.answer(answer)

    def leave(self) -> None:
        """Ends the connection with the answer that is being made, if there is one."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """A request was read to its end."""
        self._in_body = False
        super().on_message_complete()
        if self._closing is not None:
            # It was answered before; from here on the connection is idle.
            self._keep_open()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """A request was answered."""
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            # Answered before it was read: the rest is of no interest, and must not take for ever.
            self._close_in(self._limits.stalled_seconds, self._body_is_late)

    def pause_writing(self) -> None:
        """The client does not read what it is sent (asyncio's own hook)."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._limits.stalled_seconds, self._abort)

    def resume_writing(self) -> None:
        """It goes on reading (asyncio's own hook)."""
        self._progressed()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Uvicorn's own refusal, in our words."""
        self._answer_refusal()

    def _deny(self, status: int, code: str, detail: str) -> None:
        """Stops the parser, which runs now, with an answer."""
        self._refusal = (status, code, detail)
        raise _Refused

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self._refusal = (status, code, detail)
        self._answer_refusal()

    def _answer_refusal(self) -> None:
        status, code, detail = self._refusal
        REFUSED.labels(code).inc()
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering:
            self.transport.write(_answer(status, code, detail))
        # An answer that is being written is broken off: what came is no body of its request.
        self.transport.close()

    def _head_is_late(self) -> None:
        if self._in_head:
            self._refuse(408, "HEADERS_TOO_SLOW", "The headers did not come in time.")
        else:
            REFUSED.labels("NO_REQUEST").inc()
            self.transport.close()

    def _body_is_late(self) -> None:
        if self._in_body:
            REFUSED.labels("BODY_TOO_SLOW").inc()
            self.transport.close()

    def _abort(self) -> None:
        REFUSED.labels("ANSWER_NOT_READ").inc()
        self.transport.abort()

    def _close_in(self, seconds: float, close: Callable[[], None]) -> None:
        self._keep_open()
        self._closing = self.loop.call_later(seconds, close)

    def _keep_open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _progressed(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def _answer(status: int, code: str, detail: str) -> bytes:
    """A problem (RFC 9457) to whom there is no request to answer."""
    phrase = HTTPStatus(status).phrase
    body = json.dumps(
        {"type": "about:blank", "title": phrase, "status": status, "detail": detail, "code": code}
    )
    retry = "retry-after: 1\r\n" if status == 503 else ""
    return (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\n{retry}x-content-type-options: nosniff\r\n"
        f"connection: close\r\n\r\n{body}"
    ).encode()
