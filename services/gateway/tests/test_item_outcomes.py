"""What becomes of a request whose items inference would not or could not predict."""

import asyncio
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from google.protobuf.duration_pb2 import Duration

from testkit.issuer import FakeIssuer
from weir.inference.v1 import inference_pb2 as pb

from .backends import Backends
from .conftest import Call
from .test_predict import BATCH, refused, wrong_field


def fails(
    backends: Backends, reason: "pb.ItemErrorReason", index: int = 0, seconds: int = 0
) -> None:
    after = Duration(seconds=seconds) if seconds else None
    backends.inference.item_errors[index] = pb.ItemError(
        reason=reason, message="why", retry_after=after
    )


async def test_saturated_inference_is_503_with_its_own_time_to_retry(
    predict: Call, backends: Backends
) -> None:
    fails(backends, pb.ITEM_ERROR_REASON_SATURATED, seconds=3)
    answer = await predict({"text": "x"})
    refused(answer, 503, "SATURATED")
    assert answer.headers["retry-after"] == "3"


async def test_what_was_not_predicted_costs_nothing(
    predict: Call, backends: Backends, issuer: FakeIssuer
) -> None:
    token = issuer.token("models:predict", client_id="frugal")
    fails(backends, pb.ITEM_ERROR_REASON_SATURATED)
    for _ in range(4):
        refused(await predict({"text": "x"}, token=token), 503, "SATURATED")
    backends.inference.item_errors.clear()
    answer = await predict({"text": "x"}, token=token)
    assert answer.headers["ratelimit"].startswith('"minute";r=2;')


async def test_item_that_would_be_late_is_504(predict: Call, backends: Backends) -> None:
    fails(backends, pb.ITEM_ERROR_REASON_DEADLINE_EXCEEDED)
    refused(await predict({"text": "x"}), 504, "INFERENCE_DEADLINE_EXCEEDED")


async def test_missing_sealing_key_is_503(predict: Call, backends: Backends) -> None:
    fails(backends, pb.ITEM_ERROR_REASON_SEALING_KEY_MISSING)
    answer = await predict({"text": "x"})
    refused(answer, 503, "SEALING_KEY_MISSING")
    assert answer.headers["retry-after"] == "1"


async def test_wrong_tensors_are_the_callers_fault(predict: Call, backends: Backends) -> None:
    fails(backends, pb.ITEM_ERROR_REASON_TENSORS_INVALID)
    assert wrong_field(await predict({"text": "x"}), "text") == "why"


async def test_model_that_fails_is_502(predict: Call, backends: Backends) -> None:
    fails(backends, pb.ITEM_ERROR_REASON_MODEL_FAILED)
    refused(await predict({"text": "x"}), 502, "MODEL_FAILED")


async def test_wrong_text_is_told_before_anything_else(predict: Call, backends: Backends) -> None:
    fails(backends, pb.ITEM_ERROR_REASON_SATURATED, 0)
    fails(backends, pb.ITEM_ERROR_REASON_TEXT_TOO_LONG, 1)
    assert wrong_field(await predict({"texts": ["a", "b"]}, path=BATCH), "texts[1]") == "why"


async def test_requests_share_a_call_and_keep_their_own_errors(
    predict: Call, backends: Backends, issuer: FakeIssuer
) -> None:
    await predict({"text": "the model is known now"})
    backends.inference.predicts.requests.clear()
    fails(backends, pb.ITEM_ERROR_REASON_SATURATED, 1)
    token = issuer.token("models:predict")
    answers = await asyncio.gather(
        *(predict({"text": f"{n}"}, token=token, x_request_id=f"r-{n}") for n in range(8))
    )
    calls = backends.inference.predicts.requests
    refusals = [answer for answer in answers if answer.status_code == 503]
    assert len(refusals) == sum(len(call.items) > 1 for call in calls)
    items = [item for call in calls for item in call.items]
    assert {(item.text, item.request_id) for item in items} == {
        (f"{n}", f"r-{n}") for n in range(8)
    }
    for item in items:
        assert (item.caller.tenant, item.caller.client_id) == ("tenant-1", "client-1")
        assert 0 < item.timeout.ToSeconds() <= 10
        assert item.traceparent


async def test_client_that_goes_away_ends_the_call(
    app: FastAPI, backends: Backends, issuer: FakeIssuer, http: httpx.AsyncClient
) -> None:
    called, given_up = asyncio.Event(), asyncio.Event()

    async def never() -> None:
        called.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    backends.inference.predicts.wait = never
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"text": "x"}', "more_body": False}
    ]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await called.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        pass

    headers = [
        (b"authorization", f"Bearer {issuer.token('models:predict')}".encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0"},
        "server": ("gateway", 80),
    }
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(20):
            await app(scope, receive, send)
            await given_up.wait()
    (line,) = (entry for entry in logs if entry["event"] == "http_request")
    assert line["status"] == 499
