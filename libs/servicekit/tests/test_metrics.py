"""What every service's metrics have in common: what runs, and examples that can be looked up."""

from collections.abc import Iterator

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from prometheus_client import REGISTRY, Histogram

from servicekit.build_info import announce_build
from servicekit.exemplars import current_exemplar
from servicekit.telemetry import exposition

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
TRACE = 0x0AF7651916CD43DD8448EB211C80319C
WAITS = Histogram("weir_test_wait_seconds", "Made for this test.", buckets=(1, 2))


@pytest.fixture(params=[True, False], ids=["recorded", "unrecorded"])
def recorded(request: pytest.FixtureRequest) -> Iterator[bool]:
    flags = TraceFlags(TraceFlags.SAMPLED if request.param else 0)
    span = NonRecordingSpan(SpanContext(TRACE, 1, False, flags))
    token = context.attach(trace.set_span_in_context(span))
    yield request.param
    context.detach(token)


def test_only_a_recorded_trace_is_an_example(recorded: bool) -> None:
    expected = {"trace_id": f"{TRACE:032x}"} if recorded else None
    assert current_exemplar() == expected


def test_without_a_trace_there_is_no_example() -> None:
    assert current_exemplar() is None


def test_examples_are_shown_to_scrapers_that_know_them(recorded: bool) -> None:
    WAITS.observe(1.5 if recorded else 0.5, current_exemplar())
    content, content_type = exposition(OPEN_METRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")
    assert not recorded or f'trace_id="{TRACE:032x}"'.encode() in content


def test_other_scrapers_get_the_plain_format() -> None:
    content, content_type = exposition("")
    assert content_type.startswith("text/plain")
    assert b"trace_id" not in content


def test_a_process_says_which_version_of_which_service_it_is() -> None:
    announce_build("servicekit")
    (sample,) = (
        sample
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "weir_build_info" and sample.labels["service"] == "servicekit"
    )
    assert sample.value == 1
    assert sample.labels["version"][0].isdigit()


def test_a_service_that_was_not_installed_has_no_known_version() -> None:
    announce_build("nobody")
    assert any(
        sample.labels.get("service") == "nobody" and sample.labels["version"] == "unknown"
        for metric in REGISTRY.collect()
        for sample in metric.samples
    )
