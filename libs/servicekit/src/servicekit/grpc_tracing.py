"""Spans around gRPC calls that belong to a recorded trace; hardly anything around the others."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from grpc.aio import ClientCallDetails, UnaryUnaryCall
from opentelemetry import context, trace
from opentelemetry.instrumentation.grpc import (
    aio_client_interceptors,
    aio_server_interceptor,
    filters,
)
from opentelemetry.trace import NonRecordingSpan, TracerProvider

from servicekit.grpc_call_shapes import Handler
from servicekit.telemetry import traceparent_of
from servicekit.trace_sampling import parse_traceparent, unrecorded_span

UnaryContinuation: TypeAlias = (
    "Callable[[ClientCallDetails, Any], Awaitable[UnaryUnaryCall[Any, Any]]]"
)


class ServerTracing(grpc.aio.ServerInterceptor):
    """The server's side: a call whose caller does not record its trace gets ids and no span."""

    def __init__(self, tracer_provider: TracerProvider) -> None:
        self._traced = aio_server_interceptor(
            tracer_provider=tracer_provider, filter_=filters.negate(filters.health_check())
        )

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Wraps the handler (gRPC's own hook), which runs in the task that this runs in."""
        parent = parse_traceparent(_stated(handler_call_details.invocation_metadata))
        if parent is None or parent.trace_flags.sampled:
            handler: Handler | None = await self._traced.intercept_service(
                continuation, handler_call_details
            )
            return handler
        span = NonRecordingSpan(unrecorded_span(parent))
        context.attach(trace.set_span_in_context(span))
        return await continuation(handler_call_details)


class UnaryClientTracing:
    """The client's side of calls with one message each way."""

    def __init__(self, tracer_provider: TracerProvider) -> None:
        self._traced, *self.of_streams = aio_client_interceptors(tracer_provider=tracer_provider)

    async def call(
        self, continuation: UnaryContinuation, details: ClientCallDetails, request: Any
    ) -> "UnaryUnaryCall[Any, Any]":
        """Makes the call, in a span of its own where the running span is recorded.

        Args:
            details: with metadata.
        """
        span = trace.get_current_span().get_span_context()
        if not span.is_valid or span.trace_flags.sampled:
            call: UnaryUnaryCall[Any, Any] = await self._traced.intercept_unary_unary(
                continuation, details, request
            )
            return call
        if details.metadata is not None:
            details.metadata.add("traceparent", traceparent_of(span))
        return await continuation(details, request)


def _stated(metadata: Any) -> str | None:
    for key, value in metadata or ():
        if key == "traceparent" and isinstance(value, str):
            return value
    return None
