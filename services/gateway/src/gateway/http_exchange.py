"""One request over a connection and its answer, which leaves in one piece where it is whole.

Uvicorn writes an answer's head as soon as it is known and its body after that: two system calls,
two records of TLS, and a client that wakes up twice. Here a head that states its body's length
waits for that body. Whatever else an answer may be, a stream above all, is written by uvicorn.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

_SMALL = 65_536
"""Bytes of a body; a larger one costs more to copy behind its head than to write after it."""
_CONTROL = bytes({*range(0x20), 0x7F} - {0x09})
"""What no header may hold: whoever could write it would write headers of their own."""
_FRAMING = frozenset({b"connection", b"transfer-encoding"})


class WholeAnswer(NamedTuple):
    """An answer that is there at once."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Exchange(RequestResponseCycle):
    """Uvicorn's cycle of a request, which sends a whole answer with one write."""

    _held: HTTPResponseStartEvent | None = None
    """An answer's head; its body comes next."""
    _when_gone: Callable[[], None] | None = None

    def whole_body(self) -> bytes | None:
        """What is left of the request's body where all of it has come; then it is read."""
        if self.more_body or self.disconnected or not self.message_event.is_set():
            return None
        body, self.body = bytes(self.body), bytearray()
        self.message_event.clear()
        self.flow.resume_reading()
        return body

    def answer(self, whole: WholeAnswer) -> bool:
        """Answers in the application's place; whether that was possible."""
        return self._wrote_whole(
            {"type": "http.response.start", "status": whole.status, "headers": whole.headers},
            {"type": "http.response.body", "body": whole.body},
        )

    @contextmanager
    def watched(self, when_gone: Callable[[], None]) -> Iterator[None]:
        """Calls `when_gone` if the client leaves before the block does."""
        self._when_gone = when_gone
        if self.disconnected:
            self.tell_gone()
        try:
            yield
        finally:
            self._when_gone = None

    def tell_gone(self) -> None:
        """Tells whom it concerns, soon, that the client has left."""
        if self._when_gone is not None:
            asyncio.get_running_loop().call_soon(self._tell_gone)

    def _tell_gone(self) -> None:
        if self._when_gone is not None:
            self._when_gone()

    async def send(self, message: ASGISendEvent) -> None:
        """Takes the answer, part by part (ASGI)."""
        held, self._held = self._held, None
        if message["type"] == "http.response.start":
            # One that was held is forgotten: what began that answer failed, and this one says so.
            if not self.response_started and _states_length(message):
                self._held = message
                self.waiting_for_100_continue = False
                return
        elif held is not None:
            if self.flow.write_paused and not self.disconnected:
                await self.flow.drain()
            if message["type"] == "http.response.body" and self._wrote_whole(held, message):
                return
            await super().send(held)
        await super().send(message)

    def _wrote_whole(self, start: HTTPResponseStartEvent, last: HTTPResponseBodyEvent) -> bool:
        """Writes the answer if these two are all of it and nothing is uncommon about it."""
        body = last.get("body", b"")
        if (
            last.get("more_body", False)
            or len(body) > _SMALL
            or self.disconnected
            or self.scope["method"] == "HEAD"
        ):
            return False
        closed = not self.keep_alive
        lines = []
        for name, value in (*self.default_headers, *start["headers"]):
            if name == b"content-length":
                if value != b"%d" % len(body):
                    return False
            elif name in _FRAMING or not _is_name(name):
                return False
            lines.append(b"%b: %b\r\n" % (name, value))
        if closed:
            lines.append(b"connection: close\r\n")
        head = b"".join(lines)
        if len(head.translate(None, _CONTROL)) != len(head) - 2 * len(lines):
            return False
        self.response_started = self.response_complete = True
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[start["status"]], head, body))
        self.message_event.set()
        if closed:
            self.transport.close()
        self.on_response()
        return True


def exchange_of(receive: Callable[..., Any]) -> Exchange | None:
    """The exchange whose own channel this is; None for any other, such as a wrapped one.

    What asks it has the answer at once, without a task and a timer that wait for it.
    """
    owner = getattr(receive, "__self__", None)
    return owner if isinstance(owner, Exchange) else None


class ExchangingProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, whose requests are exchanges."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells who answers that nobody waits (asyncio's own hook)."""
        super().connection_lost(exc)
        if isinstance(self.cycle, Exchange):
            self.cycle.tell_gone()

    def answered_early(self, exchange: Exchange) -> bool:
        """Whether the request whose head is complete was answered before anybody was asked."""
        return False

    def on_headers_complete(self) -> None:
        """A head is complete: begins to answer it, or lets it wait for those before it."""
        version = self.parser.get_http_version()
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = target.path
        scope["query_string"] = target.query or b""
        before = self.cycle
        self.cycle = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            if not self.answered_early(self.cycle):
                self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))


def _states_length(start: HTTPResponseStartEvent) -> bool:
    headers = start.get("headers", ())
    # Others may be there to be read only once.
    return type(headers) is list and any(name == b"content-length" for name, _ in headers)


@lru_cache(maxsize=256)
def _is_name(name: bytes) -> bool:
    """Whether a header may be called this, and is written so."""
    return not HEADER_RE.search(name) and name == name.lower()
