"""Serves the application with uvicorn, over TLS where there is a certificate."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.early_refusals import EarlyRefusals
from gateway.edge_settings import HttpSettings
from gateway.forwarded_client import ForwardedClient, TrustedHops
from gateway.http_connection import Connection, ConnectionLimits, Departure, Refuse
from gateway.server_certificate import CertificateInvalid, ServerCertificate
from servicekit.lifecycle import ended

_log = structlog.get_logger(__name__)
_BACKLOG = 2048
_TICK = 0.05
_CLOSING_SECONDS = 1.0
"""Time that a client has to say goodbye in TLS. One that is idle and reads nothing never does, and
a stop would wait its whole grace for it."""
_OTHER_FILES = 256
"""Descriptors for everything that is no HTTP connection."""


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


def load_certificate(settings: HttpSettings) -> ServerCertificate | None:
    """The certificate that the settings name; None where a proxy in front has one.

    Raises:
        CertificateInvalid: it cannot be used.
    """
    files = (settings.tls_certificate_file, settings.tls_key_file)
    match files:
        case (None, None):
            return None
        case (Path() as certificate, Path() as key):
            return ServerCertificate(certificate, key)
    raise CertificateInvalid("WEIR_TLS_CERTIFICATE_FILE and WEIR_TLS_KEY_FILE go together")


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    settings: HttpSettings,
    certificate: ServerCertificate | None = None,
    early: EarlyRefusals | None = None,
) -> None:
    """Serves until cancelled; then clients are sent away and running requests get their grace.

    Args:
        early: answers some requests in the application's place.
    """
    limits = settings.connection_limits()
    _make_room(limits.connections)
    trusted = TrustedHops(settings.trusted_proxies)
    forwarded = ForwardedClient(app, trusted, standard=settings.forwarded_header == "forwarded")
    config = uvicorn.Config(
        forwarded,
        http="httptools",
        loop="none",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=int(settings.shutdown_grace),
    )
    refuse = partial(early.answer, believe=forwarded.believe) if early else None
    server = _Server(config, certificate, limits, refuse)
    host, port = listener.getsockname()[:2]
    scheme = "https" if certificate else "http"
    _log.info("http_listening", address=f"{host}:{port}", scheme=scheme)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        # Cancelled again, as who stops us does after a while, it goes on all the same.
        await ended(asyncio.create_task(server.drain(settings.drain_seconds)))
        server.should_exit = True
        await ended(serving)
        _log.info("http_stopped")
        raise


def _make_room(connections: int) -> None:
    """Lets the process have as many descriptors as it may need, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < needed:
            _log.warning("few_file_descriptors", allowed=allowed, needed=needed)


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        certificate: ServerCertificate | None,
        limits: ConnectionLimits,
        refuse: Refuse | None,
    ) -> None:
        super().__init__(config)
        self._refuse = refuse
        self._certificate = certificate
        self._limits = limits
        self._departure = Departure()

    async def drain(self, longest: float) -> None:
        """Ends each connection with its next answer; returns when none is left, or in time.

        A client that sends a request as we close its connection never gets an answer. One that
        was told with the answer before sends it elsewhere.
        """
        self._departure.begun = True
        for connection in self.server_state.connections:
            cast("Connection", connection).leave()
        give_up = time.monotonic() + longest
        while self.server_state.connections:
            if time.monotonic() >= give_up:
                return
            await asyncio.sleep(_TICK)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts connections: uvicorn knows no bound for the time of a TLS handshake."""

        def connection() -> Connection:
            return Connection(
                self.config,
                self.server_state,
                {},
                limits=self._limits,
                departure=self._departure,
                refuse=self._refuse,
            )

        context = self._certificate.context if self._certificate else None
        self.servers = [
            await asyncio.get_running_loop().create_server(
                connection,
                sock=listener,
                ssl=context,
                backlog=_BACKLOG,
                ssl_handshake_timeout=self._limits.header_seconds if context else None,
                ssl_shutdown_timeout=_CLOSING_SECONDS if context else None,
            )
            for listener in sockets or ()
        ]
        self.started = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process: uvicorn would raise SIGTERM again before we are done."""
        yield
