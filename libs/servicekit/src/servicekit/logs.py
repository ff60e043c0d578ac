"""Structured logs: one JSON object a line, with the request and the trace that it belongs to."""

import json
import logging
import sys

import structlog
from opentelemetry import trace
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

from servicekit import request_context

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(service: str, instance: str, level: str) -> None:
    """Sends structlog and the standard library's loggers to stdout as JSON lines."""

    def add_origin(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        event["instance"] = instance
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_origin,
        _add_request,
    ]
    render: list[structlog.typing.Processor] = [
        # Without the local variables: they hold what people wrote, and keys.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(serializer=_as_json),
    ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    # Libraries speak at warning and above only: some of them print what they carry at info.
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level], logging.WARNING), force=True)


# Made once: `json.dumps` with a default makes one for each line, which costs more than the line.
_ENCODER = json.JSONEncoder(default=repr)


def _as_json(event: EventDict, **_: object) -> str:
    return _ENCODER.encode(event)


def _add_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if request := request_context.request_id.get():
        event["request_id"] = request
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = format(span.trace_id, "032x")
    return event
