"""One request is one trace, from the edge to the row and to the window that drift watches."""

import httpx

from testkit.otlp import OtlpReceiver, ReceivedSpan

CALLER, CALLERS_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REQUEST = ("gateway", "POST /predict")
CALL, CALLED = (
    (service, "/weir.inference.v1.InferenceService/Predict") for service in ("gateway", "inference")
)
RECORD = ("inference", "inference.record")
PARENTS = {
    REQUEST: (),
    ("gateway", "gateway.charge"): REQUEST,
    CALL: REQUEST,
    CALLED: CALL,
    ("inference", "inference.answer"): CALLED,
    RECORD: CALLED,
    ("prediction_log", "prediction_log.insert"): RECORD,
    ("drift", "drift.observe"): RECORD,
}
"""What calls what, each as service and span; the request's own parent is the caller's."""


def _of_this_request(received: list[ReceivedSpan]) -> list[ReceivedSpan]:
    return [span for span in received if span.trace_id == CALLER]


def _parents(trace: list[ReceivedSpan]) -> dict[tuple[str, str], tuple[str, ...]]:
    named = {span.span_id: (span.service, span.name.replace("//", "/")) for span in trace}
    return {named[span.span_id]: named.get(span.parent_id, ()) for span in trace}


def test_one_request_is_one_trace_across_all_services(
    api: httpx.Client, spans: OtlpReceiver
) -> None:
    answer = api.post(
        "/predict",
        json={"text": "Follow me."},
        headers={"traceparent": f"00-{CALLER}-{CALLERS_SPAN}-01"},
    )
    assert answer.headers["x-trace-id"] == CALLER
    # Each process sends its spans when it is their turn: the row's may be the first to come.
    received = spans.wait_for(
        lambda spans: _parents(_of_this_request(spans)).items() >= PARENTS.items(), 60.0
    )
    trace = _of_this_request(received)
    assert len(trace) >= 8
    assert len({span.service for span in trace}) == 4
    assert [span.parent_id for span in trace if span.name == "POST /predict"] == [CALLERS_SPAN]
    assert not any(span.failed for span in trace)
