"""Serves the application with uvicorn."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.settings import HttpSettings

_log = structlog.get_logger(__name__)
_BACKLOG = 2048


class AddressUnavailable(Exception):
    """The address cannot be listened on; the message names it and says why."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        AddressUnavailable: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise AddressUnavailable(f"cannot listen on {host}:{port}: {why}") from error
    listener.setblocking(False)
    return listener


async def serve(app: ASGIApp, listener: socket.socket, settings: HttpSettings) -> None:
    """Serves until cancelled; then running requests get their grace."""
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=int(settings.shutdown_grace),
    )
    server = _Server(config)
    host, port = listener.getsockname()[:2]
    _log.info("http_listening", address=f"{host}:{port}")
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        _log.info("http_stopped")
        raise


class _Server(uvicorn.Server):
    """Leaves signals to the process: uvicorn would raise SIGTERM again before we are done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
