"""Traces at the edge: recorded ones whole, the others by their ids, failures always."""

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import StatusCode

from servicekit.errors import Unavailable
from servicekit.trace_sampling import NewTraceSampler

from .backends import Backends
from .conftest import Call

CALLER = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def sampler() -> NewTraceSampler:
    """Room for five traces and no more, since its clock stands still."""
    return NewTraceSampler(1.0, 1.0, clock=lambda: 0.0)


@pytest.fixture
def tracer_provider(spans: InMemorySpanExporter, sampler: NewTraceSampler) -> TracerProvider:
    provider = TracerProvider(sampler=ParentBased(sampler), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def requests(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == "POST /predict"]


async def test_new_traces_are_recorded_while_there_is_room(
    predict: Call, backends: Backends, spans: InMemorySpanExporter
) -> None:
    answers = [await predict({"text": "x"}) for _ in range(8)]
    assert len(requests(spans)) == 5
    trace_ids = [answer.headers["x-trace-id"] for answer in answers]
    assert len(set(trace_ids)) == 8
    assert backends.inference.predicts.trace_ids == trace_ids


async def test_caller_that_does_not_record_is_followed(
    predict: Call, backends: Backends, spans: InMemorySpanExporter
) -> None:
    answer = await predict({"text": "x"}, traceparent=f"00-{CALLER}-b7ad6b7169203331-00")
    assert answer.headers["x-trace-id"] == CALLER
    assert backends.inference.predicts.trace_ids == [CALLER]
    assert not requests(spans)


async def test_caller_that_records_is_followed_when_there_is_no_room(
    predict: Call, spans: InMemorySpanExporter
) -> None:
    for _ in range(6):
        await predict({"text": "x"})
    await predict({"text": "x"}, traceparent=f"00-{CALLER}-b7ad6b7169203331-01")
    last = requests(spans)[-1]
    assert last.context
    assert f"{last.context.trace_id:032x}" == CALLER


async def test_failure_of_an_unrecorded_request_is_recorded_after_the_fact(
    predict: Call, backends: Backends, spans: InMemorySpanExporter
) -> None:
    backends.inference.predicts.failure = RuntimeError("broken")
    answer = await predict({"text": "x"}, traceparent=f"00-{CALLER}-b7ad6b7169203331-00")
    assert answer.status_code == 502
    (span,) = requests(spans)
    assert span.context
    assert f"{span.context.trace_id:032x}" == answer.headers["x-trace-id"] == CALLER
    assert span.status.status_code is StatusCode.ERROR
    assert span.start_time
    assert span.end_time
    assert span.start_time < span.end_time


async def test_refusals_of_an_unrecorded_request_leave_no_span(
    predict: Call, backends: Backends, spans: InMemorySpanExporter, http: httpx.AsyncClient
) -> None:
    backends.inference.predicts.failure = Unavailable("Full.", retry_after=1.0)
    answer = await predict({"text": "x"}, traceparent=f"00-{CALLER}-b7ad6b7169203331-00")
    assert answer.status_code == 503
    assert not requests(spans)
