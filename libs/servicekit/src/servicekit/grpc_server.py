"""A gRPC server with health, reflection and the interceptors that every service has."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection
from opentelemetry.trace import TracerProvider

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.delegates import Delegates
from servicekit.grpc_drain import LIVE, CallTraffic, Watches
from servicekit.grpc_interceptors import (
    AnswerStreamInterceptor,
    AuthInterceptor,
    ErrorInterceptor,
    ObservationInterceptor,
    RequestContextInterceptor,
)
from servicekit.grpc_request_format import RequestFormatInterceptor
from servicekit.grpc_tls import server_credentials
from servicekit.grpc_tracing import ServerTracing
from servicekit.settings import GrpcServerSettings

_log = structlog.get_logger(__name__)

_RESOLUTION = 1.0
"""Seconds between two looks of a client at who is there; see grpc_client."""
_AGE_JITTER = 1.1
"""gRPC lets connections live up to a tenth longer, so that not all of them close at once."""


class GrpcServer:
    """Listens from `start` (or entering it as a context) to `stop`.

    Register servicers on `grpc` before the start and name their services with `expose`. It says
    NOT_SERVING until `set_serving(True)`.

    Args:
        scopes: scope that a caller must hold, by full method name; what is not named is refused.
        held: it says NOT_SERVING until `release`, too: who calls cannot be checked yet.

    Raises:
        CertificateInvalid: a file that TLS needs cannot be used.
    """

    def __init__(
        self,
        settings: GrpcServerSettings,
        *,
        verifier: AccessTokenVerifier,
        scopes: Mapping[str, str],
        tracer_provider: TracerProvider,
        held: bool = False,
    ) -> None:
        self._settings = settings
        self._credentials = server_credentials(settings)
        self._held = held
        self._serving: dict[str, bool] = {}
        self._health = health.HealthServicer()
        self._watches = Watches()
        watched: Any = self._health  # its method is replaced, which types do not foresee
        watched.Watch = self._watches.counted(watched.Watch)
        self._services = ["grpc.health.v1.Health", reflection.SERVICE_NAME]
        self.address = settings.grpc_address
        self._traffic = CallTraffic()
        age = settings.grpc_connection_age
        grace = max(age, settings.grpc_stream_timeout)
        self.grpc = grpc.aio.server(
            interceptors=[
                self._traffic,
                AnswerStreamInterceptor(),
                ServerTracing(tracer_provider),
                RequestContextInterceptor(
                    settings.grpc_default_timeout, settings.grpc_stream_timeout
                ),
                ObservationInterceptor(),
                ErrorInterceptor(),
                AuthInterceptor(
                    verifier,
                    scopes,
                    Delegates(settings.delegate_client, settings.delegate_certificate_name),
                ),
                RequestFormatInterceptor(),
            ],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", settings.grpc_max_message_bytes),
                ("grpc.max_connection_age_ms", int(age * 1000)),
                ("grpc.max_connection_age_grace_ms", int(grace * 1000)),
                # Clients ping an idle connection to notice a dead server; the default forbids it.
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
            maximum_concurrent_rpcs=settings.grpc_max_concurrent_calls,
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)

    def expose(self, service: str) -> None:
        """Lists a registered service, by its full name, in reflection and health."""
        self._services.append(service)

    async def set_serving(self, serving: bool, *, service: str | None = None) -> None:
        """What health checks hear from now on, of one service or of the server and all of them."""
        for name in ("", *self._services) if service is None else (service,):
            self._serving[name] = serving
            await self._tell(name)

    async def release(self) -> None:
        """Says from now on what `set_serving` was told, however often it is called."""
        self._held = False
        for name in list(self._serving):
            await self._tell(name)

    async def _tell(self, name: str) -> None:
        answer = health_pb2.HealthCheckResponse
        serving = self._serving[name] and not self._held
        await self._health.set(name, answer.SERVING if serving else answer.NOT_SERVING)

    async def start(self) -> None:
        """Binds and listens.

        Raises:
            OSError: the address cannot be bound.
        """
        reflection.enable_server_reflection(self._services, self.grpc)
        await self.set_serving(False)
        await self._health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        try:
            if self._credentials is None:
                port = self.grpc.add_insecure_port(self.address)
            else:
                port = self.grpc.add_secure_port(self.address, self._credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self.address}: is it in use?") from error
        if port and self.address.endswith(":0"):
            self.address = f"{self.address.removesuffix(':0')}:{port}"
        await self.grpc.start()
        _log.info("grpc_listening", address=self.address, tls=self._credentials is not None)

    async def stop(self) -> None:
        """Lets clients leave, takes no more calls, and lets running ones finish within the grace.

        Calls that come while clients leave are answered. It is over once no client is connected
        and no call comes any more, and takes little longer than connections live.
        """
        grace = self._settings.shutdown_grace
        lives = self._settings.grpc_connection_age * _AGE_JITTER
        await self._watches.abandoned(min(lives + _RESOLUTION, grace))
        await self._health.enter_graceful_shutdown()
        await self._traffic.end(min(_RESOLUTION, grace))
        await self.grpc.stop(grace)
        _log.info("grpc_stopped", address=self.address)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
