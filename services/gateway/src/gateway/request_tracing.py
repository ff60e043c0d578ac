"""Which requests pass through OpenTelemetry: those whose trace is recorded."""

import time

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.trace_sampling import begins_recorded, parse_traceparent, recorded, unrecorded

# Probes come every few seconds and say nothing that their answer does not.
_UNTRACED = frozenset({"/health/live", "/health/ready", "/metrics"})
_FAILURES = frozenset({500, 502, 504})
"""Nobody foresaw these. A full or absent service (503) says so in metrics, and comes in floods."""


class SampledTracing:
    """Sends a request through the one or the other stack of the same application.

    Args:
        plain: without spans.
        traced: with them.
        tracer_provider: its sampler decides on requests that bring no decision along.
    """

    def __init__(self, plain: ASGIApp, traced: ASGIApp, *, tracer_provider: TracerProvider) -> None:
        self._plain = plain
        self._traced = traced
        self._sampler = tracer_provider.sampler
        self._tracer = trace.get_tracer(__name__, tracer_provider=tracer_provider)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self._plain(scope, receive, send)
            return
        parent = parse_traceparent(_stated(scope))
        if parent.trace_flags.sampled if parent else begins_recorded(self._sampler):
            with recorded():
                await self._traced(scope, receive, send)
            return
        started = time.time_ns()
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with unrecorded(parent) as span:
            try:
                await self._plain(scope, receive, note_status)
            finally:
                if status in _FAILURES and begins_recorded(self._sampler):
                    self._record_failure(scope, status, span, started)

    def _record_failure(self, scope: Scope, status: int, span: SpanContext, started: int) -> None:
        """Records the request's own span after the fact; what it called has left none."""
        parent = SpanContext(span.trace_id, span.span_id, True, TraceFlags(TraceFlags.SAMPLED))
        route = getattr(scope.get("route"), "path", "")
        failed = self._tracer.start_span(
            f"{scope['method']} {route}".strip(),
            trace.set_span_in_context(NonRecordingSpan(parent)),
            SpanKind.SERVER,
            {"http.method": scope["method"], "http.route": route, "http.status_code": status},
            start_time=started,
        )
        failed.set_status(Status(StatusCode.ERROR))
        failed.end()


def _stated(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return str(value.decode("latin-1"))
    return None
