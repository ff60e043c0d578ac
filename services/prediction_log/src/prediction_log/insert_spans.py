"""Spans of the inserts, in the traces of the requests that the events come from."""

from opentelemetry.trace import Tracer

from servicekit.event_spans import EventSpans
from servicekit.span_names import INSERT_EVENT


class InsertSpans(EventSpans):
    """Adds `prediction_log.insert` to the trace that an event carries, if that is sampled."""

    def __init__(self, tracer: Tracer, stream: str) -> None:
        super().__init__(tracer, INSERT_EVENT, stream, {"db.system.name": "postgresql"})
