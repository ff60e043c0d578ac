"""POST /predict and its relatives, and every bad input that they must refuse."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from servicekit.errors import DeadlineExceeded, Exhausted, Unavailable
from testkit.issuer import FakeIssuer
from weir.inference.v1 import inference_pb2

from .backends import PREDICTION_ID, Backends
from .conftest import Call

PREDICTED = {
    "prediction_id": PREDICTION_ID,
    "predicted_sentiment": "positive",
    "confidence": 0.75,
    "model": "sentiment",
    "model_version": "1",
    "inference_ms": 3.5,
}
BATCH = "/predict/batch"


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Checks that the answer is a problem of that kind; returns its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["trace_id"] == answer.headers["x-trace-id"]
    return body


def wrong_field(answer: httpx.Response, field: str) -> str:
    """Checks that the answer blames that field alone; returns why."""
    (error,) = refused(answer, 422, "INVALID_INPUT")["errors"]
    assert error["field"] == field
    return str(error["message"])


async def test_one_text_is_predicted(predict: Call) -> None:
    answer = await predict({"text": "Lovely."})
    assert answer.status_code == 200
    assert answer.json() == PREDICTED


async def test_probabilities_come_when_asked_for(predict: Call) -> None:
    answer = await predict({"text": "Lovely.", "return_probabilities": True})
    assert answer.json()["probabilities"] == {"negative": 0.25, "positive": 0.75}


async def test_batch_is_predicted_in_order(predict: Call, backends: Backends) -> None:
    answer = await predict({"texts": ["one", "two"]}, path=BATCH)
    assert answer.json() == {"predictions": [PREDICTED, PREDICTED]}
    (request,) = backends.inference.predicts.requests
    assert [item.text for item in request.items] == ["one", "two"]


async def test_named_model_answers_with_a_label(predict: Call) -> None:
    answer = await predict({"text": "Lovely."}, path="/v1/models/sentiment/predict")
    assert answer.json()["label"] == "positive"
    assert "predicted_sentiment" not in answer.json()


async def test_named_model_takes_batches(predict: Call) -> None:
    answer = await predict({"texts": ["a", "b"]}, path="/v1/models/sentiment/predict/batch")
    assert [one["label"] for one in answer.json()["predictions"]] == ["positive", "positive"]


async def test_delegated_caller_reaches_inference(predict: Call, backends: Backends) -> None:
    await predict({"text": "Lovely."}, x_request_id="req-7")
    (request,) = backends.inference.predicts.requests
    (item,) = request.items
    assert (item.caller.tenant, item.caller.client_id) == ("tenant-1", "client-1")
    (principal,) = backends.inference.predicts.principals
    assert principal.client_id == "weir-gateway"
    assert "delegate" in principal.scopes
    assert backends.inference.predicts.request_ids == ["req-7"]


async def test_longest_text_is_taken(predict: Call) -> None:
    assert (await predict({"text": "é" * 5000})).status_code == 200


async def test_text_with_emoji_tabs_and_line_ends_is_taken(predict: Call) -> None:
    assert (await predict({"text": "a\tb\r\n😀"})).status_code == 200


async def test_empty_text_is_refused(predict: Call) -> None:
    assert wrong_field(await predict({"text": ""}), "text") == "is blank"


async def test_blank_text_is_refused(predict: Call) -> None:
    assert wrong_field(await predict({"text": " \t\n\u2003"}), "text") == "is blank"


async def test_text_over_the_models_limit_is_refused(predict: Call) -> None:
    assert "5000" in wrong_field(await predict({"text": "x" * 5001}), "text")


async def test_text_that_is_a_number_is_refused(predict: Call) -> None:
    wrong_field(await predict({"text": 7}), "text")


async def test_text_that_is_null_is_refused(predict: Call) -> None:
    wrong_field(await predict({"text": None}), "text")


async def test_missing_text_is_refused(predict: Call) -> None:
    wrong_field(await predict({}), "text")


async def test_unknown_field_is_refused(predict: Call) -> None:
    wrong_field(await predict({"text": "x", "txet": "y"}), "txet")


async def test_flag_that_is_a_string_is_refused(predict: Call) -> None:
    wrong_field(await predict({"text": "x", "return_probabilities": "yes"}), "return_probabilities")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null"])
async def test_body_that_is_no_object_is_refused(predict: Call, body: bytes) -> None:
    refused(await predict(content=body), 422, "INVALID_INPUT")


async def test_lone_surrogate_is_refused(predict: Call) -> None:
    wrong_field(await predict(content=rb'{"text": "a\ud800b"}'), "text")


async def test_nul_is_refused(predict: Call) -> None:
    wrong_field(await predict({"text": "a\x00b"}), "text")


async def test_other_control_characters_are_taken(predict: Call) -> None:
    assert (await predict({"text": "a\x0bb\x1bc"})).status_code == 200


async def test_broken_json_is_refused(predict: Call) -> None:
    refused(await predict(content=b'{"text": "x"'), 400, "BODY_MALFORMED")


async def test_empty_body_is_refused(predict: Call) -> None:
    refused(await predict(content=b""), 400, "BODY_MALFORMED")


async def test_missing_body_is_refused(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    headers = {"authorization": f"Bearer {issuer.token('models:predict')}"}
    refused(await http.post("/predict", headers=headers), 422, "BODY_MISSING")


async def test_json_that_is_not_utf8_is_refused(predict: Call) -> None:
    refused(await predict(content=b'{"text": "\xff"}'), 400, "BODY_MALFORMED")


async def test_json_nested_without_end_is_refused(predict: Call) -> None:
    refused(await predict(content=b"[" * 100_000), 400, "JSON_TOO_DEEP")


async def test_number_of_endless_digits_is_refused(predict: Call) -> None:
    body = b'{"text": ' + b"9" * 10_000 + b"}"
    refused(await predict(content=body), 400, "BODY_MALFORMED")


async def test_nan_is_no_json(predict: Call) -> None:
    refused(await predict(content=b'{"text": NaN}'), 400, "BODY_MALFORMED")


async def test_body_of_another_type_is_refused(predict: Call) -> None:
    answer = await predict(content=b"text=x", content_type="application/x-www-form-urlencoded")
    refused(answer, 415, "CONTENT_TYPE_UNSUPPORTED")


async def test_body_over_the_limit_is_refused(predict: Call) -> None:
    body = json.dumps({"text": "x" * 1024 * 1024}).encode()
    refused(await predict(content=body), 413, "BODY_TOO_LARGE")


async def test_endless_body_without_a_length_is_refused(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65536
            yield b"x" * 65536

    headers = {
        "authorization": f"Bearer {issuer.token('models:predict')}",
        "content-type": "application/json",
    }
    answer = await http.post("/predict", content=endless(), headers=headers)
    refused(answer, 413, "BODY_TOO_LARGE")
    assert sent <= 2 * 1024 * 1024


async def test_empty_batch_is_refused(predict: Call) -> None:
    wrong_field(await predict({"texts": []}, path=BATCH), "texts")


async def test_batch_of_256_is_taken(predict: Call) -> None:
    answer = await predict({"texts": ["x"] * 256}, path=BATCH)
    assert len(answer.json()["predictions"]) == 256


async def test_batch_of_257_is_refused(predict: Call) -> None:
    assert "256" in wrong_field(await predict({"texts": ["x"] * 257}, path=BATCH), "texts")


async def test_bad_texts_in_a_batch_are_named_and_none_is_sent(
    predict: Call, backends: Backends
) -> None:
    answer = await predict({"texts": ["fine", " ", "fine", "x" * 5001]}, path=BATCH)
    errors = refused(answer, 422, "INVALID_INPUT")["errors"]
    assert [error["field"] for error in errors] == ["texts[1]", "texts[3]"]
    assert backends.inference.predicts.requests == []


async def test_non_string_in_a_batch_is_named(predict: Call) -> None:
    wrong_field(await predict({"texts": ["fine", 3]}, path=BATCH), "texts[1]")


async def test_text_that_inference_refuses_is_named(predict: Call, backends: Backends) -> None:
    backends.inference.item_errors[1] = inference_pb2.ItemError(
        reason=inference_pb2.ITEM_ERROR_REASON_TEXT_TOO_LONG, message="is too long"
    )
    answer = await predict({"texts": ["a", "b"]}, path=BATCH)
    assert wrong_field(answer, "texts[1]") == "is too long"


async def test_unknown_model_is_not_found(predict: Call) -> None:
    answer = await predict({"text": "x"}, path="/v1/models/nonsense/predict")
    refused(answer, 404, "MODEL_NOT_FOUND")


async def test_malformed_model_name_is_not_found_without_a_call(
    predict: Call, backends: Backends
) -> None:
    answer = await predict({"text": "x"}, path="/v1/models/%00/predict")
    refused(answer, 404, "MODEL_NOT_FOUND")
    assert backends.inference.reads.requests == []


async def test_model_without_text_input_is_refused(predict: Call) -> None:
    answer = await predict({"text": "x"}, path="/v1/models/table/predict")
    refused(answer, 422, "MODEL_TAKES_NO_TEXT")


async def test_model_that_is_known_and_not_loaded_is_503_and_asked_about_again(
    predict: Call, backends: Backends
) -> None:
    answer = await predict({"text": "x"}, path="/v1/models/broken/predict")
    refused(answer, 503, "MODEL_NOT_LOADED")
    assert answer.headers["Retry-After"] == "5"
    backends.inference.models["broken"] = backends.inference.models["sentiment"]
    assert (await predict({"text": "x"}, path="/v1/models/broken/predict")).status_code == 200


async def test_inference_down_is_503_with_a_time_to_retry(
    predict: Call, backends: Backends
) -> None:
    await backends.stop("inference")
    answer = await predict({"text": "x"})
    refused(answer, 503, "INFERENCE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1


async def test_event_stream_away_is_503(predict: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = Unavailable(
        "No records now.", reason="EVENT_STREAM_UNAVAILABLE", retry_after=2.0
    )
    answer = await predict({"text": "x"})
    refused(answer, 503, "EVENT_STREAM_UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"


async def test_full_inference_is_503_and_no_quota(predict: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = Exhausted("Full.", reason="QUEUE_FULL")
    answer = await predict({"text": "x"})
    refused(answer, 503, "QUEUE_FULL")
    assert "retry-after" in answer.headers


async def test_late_inference_is_504(predict: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = DeadlineExceeded("Too late.")
    refused(await predict({"text": "x"}), 504, "INFERENCE_DEADLINE_EXCEEDED")


class TestWithAShortDeadline:
    @pytest.fixture
    def settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return settings | {"request_timeout": 0.3}

    async def test_inference_that_never_answers_is_504(
        self, predict: Call, backends: Backends
    ) -> None:
        backends.inference.predicts.wait = asyncio.Event().wait
        refused(await predict({"text": "x"}), 504, "INFERENCE_DEADLINE_EXCEEDED")

    async def test_body_that_never_ends_is_408(
        self, http: httpx.AsyncClient, issuer: FakeIssuer
    ) -> None:
        async def stuck() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        headers = {
            "authorization": f"Bearer {issuer.token('models:predict')}",
            "content-type": "application/json",
        }
        answer = await http.post("/predict", content=stuck(), headers=headers)
        refused(answer, 408, "BODY_TOO_SLOW")


async def test_broken_inference_is_502_and_tells_nothing(predict: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = RuntimeError("SELECT secret")
    answer = await predict({"text": "x"})
    refused(answer, 502, "INFERENCE_FAILED")
    assert "secret" not in answer.text


async def test_wrong_method_is_405(http: httpx.AsyncClient) -> None:
    answer = await http.put("/predict")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


async def test_unknown_route_is_404(http: httpx.AsyncClient) -> None:
    refused(await http.get("/nonsense"), 404, "ROUTE_NOT_FOUND")
