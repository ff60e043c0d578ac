"""A gRPC channel that carries the request's id, deadline, trace and a token to another service."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc.aio import ClientCallDetails, Metadata, UnaryStreamCall, UnaryUnaryCall
from opentelemetry.trace import TracerProvider

from servicekit import request_context
from servicekit.certificates import CertificateFiles, WatchedCertificates
from servicekit.grpc_drain import SERVICE_CONFIG
from servicekit.grpc_replaceable_channel import ReplaceableChannel
from servicekit.grpc_tracing import UnaryClientTracing
from servicekit.settings import GrpcClientSettings

TokenSource = Callable[[], Awaitable[str]]

_OPTIONS = [
    # Replicas come and go behind one name: resolve often and use them all but those that drain.
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5000),
    # Back a fifth of a second after a server's restart; the default waits up to two minutes. Who is
    # away costs a refused connection, five times a second.
    ("grpc.initial_reconnect_backoff_ms", 200),
    # The time that an attempt has, whatever its name says: a new replica on a busy machine needs
    # longer than the backoff to greet us, and calls wait for it meanwhile.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 200),
]


def open_channel(
    target: str,
    *,
    token: TokenSource,
    default_timeout: float,
    tracer_provider: TracerProvider,
    tls: GrpcClientSettings | None = None,
) -> grpc.aio.Channel:
    """Opens a channel; make it after the process has forked, close it when done.

    Args:
        target: `dns:///host:port`, `host:port` or `unix:path`.
        token: gives the access token that calls carry.
        default_timeout: longest a call may take that states no timeout, seconds; the running
            request's deadline shortens both.
        tls: names the files of certificates, which are read again when they change; plain text
            where it names no authorities, or is None.

    Raises:
        CertificateInvalid: a file cannot be used.
    """
    context = _CallContext(token, default_timeout)
    tracing = UnaryClientTracing(tracer_provider)
    interceptors: list[grpc.aio.ClientInterceptor] = [
        *tracing.of_streams,
        _UnaryInterceptor(context, tracing),
        _AnswerStreamInterceptor(context),
    ]
    if tls is None or tls.grpc_ca_file is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS, interceptors=interceptors)
    watched = WatchedCertificates(
        CertificateFiles(
            "grpc_client",
            certificate=tls.grpc_client_certificate_file,
            key=tls.grpc_client_key_file,
            authorities=tls.grpc_ca_file,
        )
    )

    def open_one() -> grpc.aio.Channel:
        shown = watched.current
        credentials = grpc.ssl_channel_credentials(shown.authorities, shown.key, shown.chain)
        return grpc.aio.secure_channel(
            target, credentials, options=_OPTIONS, interceptors=interceptors
        )

    return ReplaceableChannel(open_one, watched.changed)


class _CallContext:
    """What every call carries."""

    def __init__(self, token: TokenSource, default_timeout: float) -> None:
        self._token = token
        self._default_timeout = default_timeout

    async def completed(self, details: ClientCallDetails) -> ClientCallDetails:
        """The call's details with the token, the request's id and a timeout."""
        metadata = details.metadata or Metadata()
        metadata.add("authorization", f"Bearer {await self._token()}")
        if request_id := request_context.request_id.get():
            metadata.add("x-request-id", request_id)
        limit = details.timeout or self._default_timeout
        return ClientCallDetails(
            method=details.method,
            # A deadline of 0 is read as none at all.
            timeout=max(request_context.time_left(limit), 0.001),
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )


# gRPC takes an interceptor for the first shape of call that it knows, hence two.
class _UnaryInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, context: _CallContext, tracing: UnaryClientTracing) -> None:
        self._context = context
        self._tracing = tracing

    async def intercept_unary_unary(
        self,
        continuation: Callable[[ClientCallDetails, Any], Awaitable[UnaryUnaryCall[Any, Any]]],
        client_call_details: ClientCallDetails,
        request: Any,
    ) -> UnaryUnaryCall[Any, Any]:
        """Completes the call's metadata and timeout (gRPC's own hook)."""
        details = await self._context.completed(client_call_details)
        return await self._tracing.call(continuation, details, request)


class _AnswerStreamInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, context: _CallContext) -> None:
        self._context = context

    async def intercept_unary_stream(
        self,
        continuation: Callable[[ClientCallDetails, Any], Awaitable[UnaryStreamCall[Any, Any]]],
        client_call_details: ClientCallDetails,
        request: Any,
    ) -> UnaryStreamCall[Any, Any]:
        """Completes the call's metadata and timeout (gRPC's own hook)."""
        return await continuation(await self._context.completed(client_call_details), request)
