"""Traces and metrics of one process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import prometheus_client
import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import SpanContext
from prometheus_client.exposition import choose_encoder

from servicekit.settings import TelemetrySettings
from servicekit.trace_sampling import NewTraceSampler

_log = structlog.get_logger(__name__)
_EXPORT_DELAY_MS = 2000
"""Between two looks at what was recorded; 512 spans are exported at once, and the rest at the end.
Each look costs a thread's waking, also where nothing happens."""


def configure_tracing(service: str, settings: TelemetrySettings) -> TracerProvider:
    """Makes the process's tracer provider. Shut it down last, so that it can flush.

    Without an exporter spans are still made: their ids reach logs and answers.
    """
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: service, SERVICE_INSTANCE_ID: settings.instance}),
        sampler=ParentBased(NewTraceSampler(settings.trace_sample_ratio, settings.trace_rate)),
        shutdown_on_exit=False,
    )
    exporters: list[SpanExporter] = []
    if settings.otlp_endpoint:
        exporters.append(_otlp_exporter(settings.otlp_endpoint))
    if settings.trace_file is not None:
        exporters.append(_FileExporter(settings.trace_file))
    for exporter in exporters:
        provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=_EXPORT_DELAY_MS)
        )
    trace.set_tracer_provider(provider)
    return provider


def _otlp_exporter(endpoint: str) -> SpanExporter:
    # Here, because a process that exports nothing starts a tenth of a second sooner without it.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, insecure=True)


class _FileExporter(ConsoleSpanExporter):
    """Appends each span as one line, so that processes that share a file do not mix theirs."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1, encoding="utf-8")
        super().__init__(out=self._file, formatter=_one_line)

    def shutdown(self) -> None:
        """Closes the file."""
        self._file.close()


def _one_line(span: ReadableSpan) -> str:
    return str(span.to_json(indent=None)) + "\n"


@contextmanager
def child_span(name: str, *, fails: bool = True) -> Iterator[None]:
    """Runs the block in a span of its own where the running trace is recorded.

    Args:
        name: see span_names.
        fails: an exception that leaves the block is this span's error.
    """
    if not trace.get_current_span().is_recording():
        yield
        return
    tracer = trace.get_tracer(__name__)
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=fails):
        yield


def traceparent_of(span: SpanContext) -> str:
    """The W3C traceparent of a span; empty for none."""
    if not span.is_valid:
        return ""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def current_traceparent() -> str:
    """The W3C traceparent of the running span; empty outside of one."""
    return traceparent_of(trace.get_current_span().get_span_context())


def current_trace_id() -> str:
    """The running trace's id, 32 hex digits; empty outside of one."""
    span = trace.get_current_span().get_span_context()
    return format(span.trace_id, "032x") if span.is_valid else ""


def exposition(accept: str) -> tuple[bytes, str]:
    """The process's metrics and their content type: OpenMetrics, with exemplars, where asked for.

    Args:
        accept: the request's header; empty when it has none.
    """
    encode, content_type = choose_encoder(accept)
    return encode(prometheus_client.REGISTRY), content_type


def serve_metrics(address: str) -> int:
    """Serves the process's Prometheus metrics in a thread; returns the port.

    Raises:
        OSError: the address is taken or not ours.
    """
    host, _, port = address.rpartition(":")
    server, _thread = prometheus_client.start_http_server(int(port), addr=host)
    bound: int = server.server_port
    _log.info("metrics_served", address=f"{host}:{bound}", python=sys.version.split()[0])
    return bound
