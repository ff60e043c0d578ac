"""Serves an application on a real socket, and talks to it byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.types import ASGIApp

from gateway.early_refusals import EarlyRefusals
from gateway.edge_settings import HttpSettings
from gateway.http_server import listen, serve
from gateway.server_certificate import ServerCertificate

PATIENCE = 60.0
"""Seconds after which a test gives up."""


@asynccontextmanager
async def served(
    app: ASGIApp,
    certificate: ServerCertificate | None = None,
    early: EarlyRefusals | None = None,
    **settings: Any,
) -> AsyncIterator[int]:
    """The port of the served application."""
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    options = HttpSettings(**({"shutdown_grace": 1.0} | settings))
    serving = asyncio.create_task(serve(app, listener, options, certificate, early))
    try:
        yield port
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, sent: bytes) -> None:
        """Sends, as far as the server takes it."""
        with suppress(ConnectionError):
            self._writer.write(sent)
            await self._writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """The next answer's status and headers; 0 where the connection closed instead."""
        async with asyncio.timeout(PATIENCE):
            try:
                text = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, {}
        first, *lines = text.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer with its body, whose length must be stated."""
        status, headers = await self.head()
        length = int(headers.get("content-length", 0))
        async with asyncio.timeout(PATIENCE):
            return status, headers, await self._reader.readexactly(length)

    async def is_closed(self) -> bool:
        """Waits until the server closes; whether nothing came before."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                return await self._reader.read() == b""
            return True

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


@asynccontextmanager
async def wire(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A connection to the port."""
    name = "localhost" if context else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    opened = Wire(reader, writer)
    try:
        yield opened
    finally:
        opened.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def get(path: str = "/", *headers: str, host: str = "gateway") -> bytes:
    """A GET request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", f"host: {host}", *headers, "", ""]).encode()


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    """A POST request whose headers tell everything but the host."""
    head = "\r\n".join([f"POST {path} HTTP/1.1", "host: gateway", *headers, "", ""]).encode()
    return head + body
