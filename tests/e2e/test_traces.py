"""One request is one trace, from the edge to the row."""

import httpx

from testkit.otlp import OtlpReceiver, ReceivedSpan


def test_one_request_is_one_trace_from_http_to_the_row(
    api: httpx.Client, spans: OtlpReceiver
) -> None:
    caller = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = api.post(
        "/predict",
        json={"text": "Follow me."},
        headers={"traceparent": f"00-{caller}-00f067aa0ba902b7-01"},
    )
    assert answer.headers["x-trace-id"] == caller

    def of_this_request(received: list[ReceivedSpan]) -> list[ReceivedSpan]:
        return [span for span in received if span.trace_id == caller]

    def complete(received: list[ReceivedSpan]) -> bool:
        services = {span.service for span in of_this_request(received)}
        return services >= {"gateway", "inference", "prediction_log"}

    trace = of_this_request(spans.wait_for(complete))
    by_id = {span.span_id: span for span in trace}
    span = next(span for span in trace if span.service == "prediction_log")
    path = [span.service]
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        path.append(span.service)
    assert list(dict.fromkeys(path)) == ["prediction_log", "inference", "gateway"]
    assert span.parent_id == "00f067aa0ba902b7"
    assert not any(span.failed for span in trace)
