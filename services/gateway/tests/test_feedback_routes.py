"""POST and GET /v1/predictions/{id}/feedback."""

from typing import Any

import httpx
import pytest

from servicekit.errors import Conflict, FieldViolation, InvalidInput, NotFound
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import predictions_pb2

from .backends import PREDICTED_AT, PREDICTION_ID, Backends
from .conftest import Call
from .test_predict import refused, wrong_field

FEEDBACK = f"/v1/predictions/{PREDICTION_ID}/feedback"


@pytest.fixture
def judge(predict: Call, issuer: FakeIssuer) -> Call:
    async def call(json: object, path: str = FEEDBACK, **headers: str) -> httpx.Response:
        answer: httpx.Response = await predict(
            json, path=path, token=issuer.token("feedback:write"), **headers
        )
        return answer

    return call


async def test_feedback_is_taken_for_the_caller(judge: Call, backends: Backends) -> None:
    answer = await judge({"correct_label": "negative", "score": 0, "comment": "Irony."})
    assert answer.status_code == 202
    assert answer.json() == {"feedback_id": "feedback-1"}
    (request,) = backends.log.calls.requests
    assert request == predictions_pb2.RecordFeedbackRequest(
        tenant="tenant-1",
        client_id="client-1",
        prediction_id=PREDICTION_ID,
        correct_label="negative",
        score=0.0,
        comment="Irony.",
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "correct_label"),
        ({"correct_label": " "}, "correct_label"),
        ({"correct_label": 1}, "correct_label"),
        ({"correct_label": "x", "score": 1.5}, "score"),
        ({"correct_label": "x", "score": "1"}, "score"),
        ({"correct_label": "x", "comment": "c" * 2001}, "comment"),
        ({"correct_label": "x", "comment": "\x00"}, "comment"),
        ({"correct_label": "x", "extra": 1}, "extra"),
    ],
)
async def test_bad_feedback_is_refused(judge: Call, body: dict[str, Any], field: str) -> None:
    wrong_field(await judge(body), field)


async def test_feedback_on_a_malformed_id_is_not_found(judge: Call) -> None:
    answer = await judge({"correct_label": "x"}, path="/v1/predictions/x/feedback")
    refused(answer, 404, "PREDICTION_NOT_FOUND")


async def test_feedback_on_an_unknown_prediction_is_not_found(
    judge: Call, backends: Backends
) -> None:
    backends.log.calls.failure = NotFound("No.")
    refused(await judge({"correct_label": "x"}), 404, "PREDICTION_NOT_FOUND")


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        (r'"a \"b\" \\"', 'a "b" \\'),
        ('"half', '"half'),
        ("k" * 128, "k" * 128),
    ],
)
async def test_idempotency_key_reaches_the_log(
    judge: Call, backends: Backends, header: str, key: str
) -> None:
    answer = await judge({"correct_label": "negative"}, idempotency_key=header)
    assert answer.status_code == 202
    (request,) = backends.log.calls.requests
    assert request.idempotency_key == key


@pytest.mark.parametrize("header", ["", '""', "k" * 129, "a\x7fb", "a\tb"])
async def test_bad_idempotency_key_is_refused(judge: Call, backends: Backends, header: str) -> None:
    answer = await judge({"correct_label": "x"}, idempotency_key=header)
    wrong_field(answer, "Idempotency-Key")
    assert not backends.log.calls.requests


async def test_key_of_other_feedback_is_422(judge: Call, backends: Backends) -> None:
    backends.log.calls.failure = Conflict("No.", reason="IDEMPOTENCY_KEY_REUSED")
    answer = await judge({"correct_label": "x"}, idempotency_key="k")
    refused(answer, 422, "IDEMPOTENCY_KEY_REUSED")
    assert [fault["field"] for fault in answer.json()["errors"]] == ["Idempotency-Key"]


async def test_history_is_listed_with_a_cursor(get: Call, backends: Backends) -> None:
    backends.log.history = predictions_pb2.ListFeedbackResponse(
        feedback=[
            predictions_pb2.Feedback(
                feedback_id="f2", given_at=PREDICTED_AT, client_id="c", correct_label="negative"
            ),
            predictions_pb2.Feedback(
                feedback_id="f1", given_at=PREDICTED_AT, client_id="c", score=0.0, comment="Hm."
            ),
        ],
        next_cursor="next",
    )
    given_at = "2026-09-21T14:13:20Z"
    assert (await get(FEEDBACK, limit="2", cursor="c")).json() == {
        "feedback": [
            {
                "feedback_id": "f2",
                "given_at": given_at,
                "client_id": "c",
                "correct_label": "negative",
                "score": None,
                "comment": None,
            },
            {
                "feedback_id": "f1",
                "given_at": given_at,
                "client_id": "c",
                "correct_label": None,
                "score": 0.0,
                "comment": "Hm.",
            },
        ],
        "next_cursor": "next",
    }
    (request,) = backends.log.calls.requests
    assert request == predictions_pb2.ListFeedbackRequest(
        tenant="tenant-1", prediction_id=PREDICTION_ID, limit=2, cursor="c"
    )


async def test_history_needs_the_scope_to_read(get: Call) -> None:
    refused(await get(FEEDBACK, "feedback:write"), 403, "SCOPE_MISSING")


async def test_history_of_an_unknown_prediction_is_not_found(get: Call, backends: Backends) -> None:
    refused(await get("/v1/predictions/x/feedback"), 404, "PREDICTION_NOT_FOUND")
    backends.log.calls.failure = NotFound("No.")
    refused(await get(FEEDBACK), 404, "PREDICTION_NOT_FOUND")


@pytest.mark.parametrize(("name", "value"), [("limit", "201"), ("limit", "0"), ("cursor", "\x00")])
async def test_bad_page_of_the_history_is_named(get: Call, name: str, value: str) -> None:
    wrong_field(await get(FEEDBACK, **{name: value}), name)


async def test_cursor_of_another_history_is_422(get: Call, backends: Backends) -> None:
    backends.log.calls.failure = InvalidInput(
        "Bad.", violations=[FieldViolation("cursor", "is none of ours")]
    )
    wrong_field(await get(FEEDBACK, cursor="x"), "cursor")
