"""Structured logs: one JSON object a line, with the request and the trace that it belongs to."""

import json
import logging
from datetime import UTC, datetime

import structlog
from opentelemetry import trace
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from servicekit import request_context
from servicekit.log_lines import LogLines

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(service: str, instance: str, level: str) -> None:
    """Sends structlog and the standard library's loggers to stdout as JSON lines."""
    lines = LogLines()
    complete = _completion(service, instance)
    structlog.configure(
        processors=[complete, _rendered],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[complete],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _rendered],
        )
    )
    # Libraries speak at warning and above only: some of them print what they carry at info.
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level], logging.WARNING), force=True)


def _completion(service: str, instance: str) -> Processor:
    def complete(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
        # One step: what each of several costs by itself is more than what it does.
        event["level"] = method
        event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        event["service"] = service
        event["instance"] = instance
        if request := request_context.request_id.get():
            event["request_id"] = request
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            event["trace_id"] = format(span.trace_id, "032x")
        return event

    return complete


# Without the local variables: they hold what people wrote, and keys.
_render_exception = structlog.processors.ExceptionRenderer(
    ExceptionDictTransformer(show_locals=False)
)
# Made once: `json.dumps` with a default makes one for each line, which costs more than the line.
_ENCODER = json.JSONEncoder(default=repr)


def _rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
    if "exc_info" in event:
        event = _render_exception(logger, method, event)
    return _ENCODER.encode(event)
