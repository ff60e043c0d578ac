"""A gRPC channel that carries the request's id, deadline, trace and a token to another service."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc.aio import ClientCallDetails, Metadata, UnaryUnaryCall
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from opentelemetry.trace import TracerProvider

from servicekit import request_context

TokenSource = Callable[[], Awaitable[str]]

_OPTIONS = [
    # Replicas come and go behind one name: resolve often and use them all.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 2000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5000),
    # Back within a second or so after a server's restart; the default waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def open_channel(
    target: str,
    *,
    token: TokenSource,
    default_timeout: float,
    tracer_provider: TracerProvider,
) -> grpc.aio.Channel:
    """Opens a channel; make it after the process has forked, close it when done.

    Args:
        target: `dns:///host:port`, `host:port` or `unix:path`.
        token: gives the access token that calls carry.
        default_timeout: longest a call may take, seconds; the running request's deadline
            shortens it.
    """
    return grpc.aio.insecure_channel(
        target,
        options=_OPTIONS,
        interceptors=[
            *aio_client_interceptors(tracer_provider=tracer_provider),
            _RequestContextInterceptor(token, default_timeout),
        ],
    )


class _RequestContextInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, token: TokenSource, default_timeout: float) -> None:
        self._token = token
        self._default_timeout = default_timeout

    async def intercept_unary_unary(
        self,
        continuation: Callable[[ClientCallDetails, Any], Awaitable[UnaryUnaryCall[Any, Any]]],
        client_call_details: ClientCallDetails,
        request: Any,
    ) -> UnaryUnaryCall[Any, Any]:
        """Completes the call's metadata and timeout (gRPC's own hook)."""
        metadata = client_call_details.metadata or Metadata()
        metadata.add("authorization", f"Bearer {await self._token()}")
        if request_id := request_context.request_id.get():
            metadata.add("x-request-id", request_id)
        limit = client_call_details.timeout or self._default_timeout
        # A deadline of 0 is read as none at all.
        timeout = max(request_context.time_left(limit), 0.001)
        return await continuation(
            ClientCallDetails(
                method=client_call_details.method,
                timeout=timeout,
                metadata=metadata,
                credentials=client_call_details.credentials,
                wait_for_ready=client_call_details.wait_for_ready,
            ),
            request,
        )
