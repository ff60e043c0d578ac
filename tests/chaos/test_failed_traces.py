"""The trace of a request that failed points at what failed."""

from testkit.platform import Platform, wait_until
from weir_local.traces import Span, read_spans

TRACE = "0af7651916cd43dd8448eb211c80319c"


def _spans(platform: Platform) -> dict[str, Span]:
    file = platform.home.trace_file
    found = [span for span in read_spans(file) if span.trace_id == TRACE]
    return {f"{span.service}: {span.name.rpartition('/')[2]}": span for span in found}


def test_a_prediction_that_cannot_be_recorded_fails_at_its_recording(platform: Platform) -> None:
    with platform.client() as client:
        client.post("/predict", json={"text": "Before."}).raise_for_status()
        platform.process("events-redis").stop()
        try:
            answer = client.post(
                "/predict",
                json={"text": "Never on record."},
                headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
            )
        finally:
            platform.start("events-redis")
            platform.wait_until_health("healthy")
    assert answer.status_code == 503
    last = {"gateway: predict", "inference: Predict", "inference: inference.record"}
    wait_until(lambda: _spans(platform).keys() >= last, f"spans {last}")
    spans = _spans(platform)
    assert {name for name, span in spans.items() if span.failed} == {
        "gateway: predict",
        "gateway: Predict",
        "inference: Predict",
        "inference: inference.record",
    }
    assert {"gateway: gateway.charge", "inference: inference.answer"} <= spans.keys()
    assert spans["inference: inference.record"].parent_id == spans["inference: Predict"].span_id
