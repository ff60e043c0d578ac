"""What a consumer does with an event shows in the trace of the request that it comes from."""

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from servicekit.event_spans import EventSpans
from servicekit.event_stream import Event

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def finished() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def spans(finished: InMemorySpanExporter) -> EventSpans:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(finished))
    return EventSpans(provider.get_tracer("test"), "test.observe", "stream")


def event(flags: str, trace: str = TRACE) -> Event:
    return Event("1-0", "test.v1.Fact", b"", f"00-{trace}-{PARENT}-{flags}")


async def test_a_handled_event_has_a_span_below_its_publishers(
    spans: EventSpans, finished: InMemorySpanExporter
) -> None:
    async def handle(_: Sequence[Event]) -> None:
        assert finished.get_finished_spans() == ()

    await spans.around(handle)([event("01"), event("00"), event("01", "0" * 32)])
    (span,) = finished.get_finished_spans()
    assert span.name == "test.observe"
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.attributes is not None
    assert span.attributes["messaging.destination.name"] == "stream"
    assert span.attributes["messaging.batch.message_count"] == 3


async def test_what_was_not_handled_leaves_no_span(
    spans: EventSpans, finished: InMemorySpanExporter
) -> None:
    async def handle(_: Sequence[Event]) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await spans.around(handle)([event("01")])
    assert finished.get_finished_spans() == ()
