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

    def path_to_the_row(received: list[ReceivedSpan]) -> list[ReceivedSpan]:
        """From the log's span upwards, as far as the spans that have come tell."""
        trace = of_this_request(received)
        by_id = {span.span_id: span for span in trace}
        path = [span for span in trace if span.service == "prediction_log"][:1]
        while path and path[-1].parent_id in by_id:
            path.append(by_id[path[-1].parent_id])
        return path

    def complete(received: list[ReceivedSpan]) -> bool:
        # Each process sends its spans when it is their turn: the row's may be the first to come.
        return {span.service for span in path_to_the_row(received)} >= {
            "gateway",
            "inference",
            "prediction_log",
        }

    received = spans.wait_for(complete)
    trace, path = of_this_request(received), path_to_the_row(received)
    services = list(dict.fromkeys(span.service for span in path))
    assert services == ["prediction_log", "inference", "gateway"]
    assert path[-1].parent_id == "00f067aa0ba902b7"
    assert not any(span.failed for span in trace)
