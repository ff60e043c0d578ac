"""One request is one trace, from the edge to the row."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testkit.otlp import OtlpReceiver, ReceivedSpan, running_receiver
from testkit.platform import Platform, running_platform


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, models: Path, receiver: OtlpReceiver
) -> Iterator[Platform]:
    settings = {"WEIR_OTLP_ENDPOINT": receiver.endpoint}
    with running_platform(tmp_path_factory.mktemp("traced"), models, settings) as running:
        yield running


def test_one_request_is_one_trace_from_http_to_the_row(
    api: httpx.Client, receiver: OtlpReceiver
) -> None:
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = api.post(
        "/predict",
        json={"text": "Follow me."},
        headers={"traceparent": f"00-{caller}-00f067aa0ba902b7-01"},
    )
    assert answer.headers["x-trace-id"] == caller

    def of_this_request(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        return [span for span in spans if span.trace_id == caller]

    def complete(spans: list[ReceivedSpan]) -> bool:
        return {span.service for span in of_this_request(spans)} >= {
            "gateway",
            "inference",
            "prediction_log",
        }

    spans = of_this_request(receiver.wait_for(complete))
    by_id = {span.span_id: span for span in spans}
    insert = next(span for span in spans if span.service == "prediction_log")
    path = [insert.service]
    span = insert
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        path.append(span.service)
    assert list(dict.fromkeys(path)) == ["prediction_log", "inference", "gateway"]
    assert span.parent_id == "00f067aa0ba902b7"
    assert not any(span.failed for span in spans)
