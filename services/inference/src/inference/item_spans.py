"""Shows an item in the trace that it belongs to, where that is not the call's own."""

import re

from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    TracerProvider,
)

from inference.domain import Item, Outcome, Rejection
from servicekit import span_names

_SAMPLED = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f][13579bdf])")
"""A traceparent whose trace is kept (W3C Trace Context, 3.2)."""


class ItemSpans:
    """One span per item of a sampled trace; items of other traces cost a look at a string."""

    def __init__(self, tracer_provider: TracerProvider) -> None:
        self._tracer = tracer_provider.get_tracer("inference")

    def show(self, item: Item, outcome: Outcome, started: int, ended: int) -> None:
        """Writes the item's span, linked to the call that carried it.

        Args:
            started, ended: nanoseconds since the epoch.
        """
        if not item.traceparent or (match := _SAMPLED.fullmatch(item.traceparent)) is None:
            return
        trace_id, span_id, flags = (int(part, 16) for part in match.groups())
        call = trace.get_current_span().get_span_context()
        parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
        if trace_id == call.trace_id or not parent.is_valid:
            return
        span = self._tracer.start_span(
            span_names.PREDICT_ITEM,
            context=trace.set_span_in_context(NonRecordingSpan(parent)),
            links=[Link(call)] if call.is_valid else [],
            start_time=started,
        )
        if isinstance(outcome, Rejection):
            span.set_status(StatusCode.ERROR, outcome.fault.name)
        else:
            span.set_attributes(
                {
                    span_names.MODEL: outcome.model,
                    span_names.MODEL_VERSION: outcome.model_version,
                    span_names.PREDICTION_ID: str(outcome.prediction_id),
                    span_names.CACHED: outcome.scored.cached,
                }
            )
        span.end(ended)
