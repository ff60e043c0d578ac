"""Spans of the inserts, in the traces of the requests that the events come from."""

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from servicekit.event_stream import Event
from servicekit.span_names import INSERT_EVENT

_PROPAGATOR = TraceContextTextMapPropagator()
_SAMPLED_ENDS = frozenset("13579bdf")
"""Last digits of a traceparent whose flag `sampled` is set."""


class InsertSpans:
    """Adds `prediction_log.insert` to the trace that an event carries, if that is sampled."""

    def __init__(self, tracer: Tracer, stream: str) -> None:
        self._tracer = tracer
        self._stream = stream

    def add(self, events: Sequence[Event], began_ns: int, ended_ns: int) -> None:
        """One span for each event of a transaction that took from `began_ns` to `ended_ns`."""
        for event in events:
            # Most are not sampled: the last digit tells, without the propagator's care.
            if event.traceparent[-1:] not in _SAMPLED_ENDS:
                continue
            parent = _PROPAGATOR.extract({"traceparent": event.traceparent})
            if not trace.get_current_span(parent).get_span_context().trace_flags.sampled:
                continue
            self._tracer.start_span(
                INSERT_EVENT,
                context=parent,
                kind=SpanKind.CONSUMER,
                start_time=began_ns,
                attributes={
                    "db.system.name": "postgresql",
                    "messaging.system": "redis",
                    "messaging.destination.name": self._stream,
                    "messaging.message.id": event.entry_id,
                    "messaging.batch.message_count": len(events),
                },
            ).end(ended_ns)
