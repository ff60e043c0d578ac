"""Spans of what consumers do with events, in the traces of the requests that these come from."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from servicekit.event_consumer import Event

Handle = Callable[[Sequence[Event]], Awaitable[None]]

_PROPAGATOR = TraceContextTextMapPropagator()
_SAMPLED_ENDS = frozenset("13579bdf")
"""Last digits of a traceparent whose flag `sampled` is set."""


class EventSpans:
    """Adds a span to the trace that an event carries, if that is sampled.

    Args:
        name: of the spans; see span_names.
        attributes: beside those that tell where the event was.
    """

    def __init__(
        self, tracer: Tracer, name: str, stream: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = {
            **(attributes or {}),
            "messaging.system": "redis",
            "messaging.destination.name": stream,
        }

    def around(self, handle: Handle) -> Handle:
        """Handles events as `handle` does, and shows it in their traces once it is done."""

        async def shown(events: Sequence[Event]) -> None:
            began = time.time_ns()
            await handle(events)
            self.add(events, began, time.time_ns())

        return shown

    def add(self, events: Sequence[Event], began_ns: int, ended_ns: int) -> None:
        """One span for each event of a batch whose handling took from `began_ns` to `ended_ns`."""
        for event in events:
            # Most are not sampled: the last digit tells, without the propagator's care.
            if event.traceparent[-1:] not in _SAMPLED_ENDS:
                continue
            parent = _PROPAGATOR.extract({"traceparent": event.traceparent})
            if not trace.get_current_span(parent).get_span_context().trace_flags.sampled:
                continue
            self._tracer.start_span(
                self._name,
                context=parent,
                kind=SpanKind.CONSUMER,
                start_time=began_ns,
                attributes={
                    **self._attributes,
                    "messaging.message.id": event.entry_id,
                    "messaging.batch.message_count": len(events),
                },
            ).end(ended_ns)
