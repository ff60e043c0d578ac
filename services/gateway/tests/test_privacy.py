"""How the gateway has texts kept, names the people whom they are about, and has them erased."""

import json
from typing import Any

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from joserfc import jwt

from gateway.__main__ import main
from gateway.client_entries import ClientsFileInvalid, parse_clients
from gateway.domain import InputKeeping
from servicekit.errors import FieldViolation, InvalidInput, NotFound, Unavailable
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import privacy_pb2
from weir.predictions.v1.keeping_pb2 import (
    INPUT_KEEPING_ENCRYPTED,
    INPUT_KEEPING_NOTHING,
    Keeping,
)

from .backends import ERASURE_ID, PREDICTED_AT, PREDICTION_ID, Backends
from .conftest import SECRET, Call
from .test_predict import refused, wrong_field

SUBJECT = "alice@example.org"
POLICY = {"input": "encrypted", "retention_class": "long"}


@pytest.fixture
def tenants() -> dict[str, Any]:
    return {"tenant-1": POLICY, "somebody-else": {"input": "plain"}}


@pytest.fixture
def erase(predict: Call, issuer: FakeIssuer) -> Call:
    async def call(json: object, *scopes: str) -> httpx.Response:
        token = issuer.token(*(scopes or ("privacy:erase",)))
        answer: httpx.Response = await predict(json, path="/v1/erasures", token=token)
        return answer

    return call


async def claims(http: httpx.AsyncClient, issuer: FakeIssuer) -> dict[str, Any]:
    answer = await http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=httpx.BasicAuth("client-1", SECRET),
    )
    return jwt.decode(answer.json()["access_token"], issuer.key).claims


async def test_policy_of_the_tenant_is_stated_and_is_in_its_tokens(
    predict: Call, backends: Backends, http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    await predict({"text": "Fine."})
    ((item,),) = [request.items for request in backends.inference.predicts.requests]
    assert item.keeping == Keeping(input=INPUT_KEEPING_ENCRYPTED, retention_class="long")
    assert item.subject == ""
    assert (await claims(http, issuer))["keeping"] == POLICY


class TestWithoutAPolicy:
    @pytest.fixture
    def tenants(self) -> dict[str, Any]:
        return {}

    async def test_nothing_is_kept(
        self, predict: Call, backends: Backends, http: httpx.AsyncClient, issuer: FakeIssuer
    ) -> None:
        await predict({"text": "Fine."})
        ((item,),) = [request.items for request in backends.inference.predicts.requests]
        assert item.keeping == Keeping(input=INPUT_KEEPING_NOTHING)
        assert "keeping" not in await claims(http, issuer)


async def test_policy_that_a_client_claims_by_itself_counts_for_nothing(
    predict: Call, backends: Backends, issuer: FakeIssuer
) -> None:
    answer = await predict({"text": "Fine.", "keeping": {"input": "plain"}})
    refused(answer, 422, "INVALID_INPUT")
    await predict(
        {"text": "Fine."}, token=issuer.token("models:predict", keeping={"input": "plain"})
    )
    ((item,),) = [request.items for request in backends.inference.predicts.requests]
    assert item.keeping.input == INPUT_KEEPING_ENCRYPTED


async def test_subjects_reach_inference_and_no_log_line(
    predict: Call, backends: Backends, capsys: pytest.CaptureFixture[str]
) -> None:
    await predict({"text": "Fine.", "subject": SUBJECT})
    await predict({"texts": ["a", "b"], "subjects": [SUBJECT, None]}, path="/predict/batch")
    await predict({"texts": ["a", "b"]}, path="/v1/models/sentiment/predict/batch")
    named = [
        [item.subject for item in request.items] for request in backends.inference.predicts.requests
    ]
    assert named == [[SUBJECT], [SUBJECT, ""], ["", ""]]
    assert SUBJECT not in capsys.readouterr().out


@pytest.mark.parametrize("subject", ["", " ", "s" * 257, "a\0b", "a\nb", "\ud800", 5, ["a"]])
async def test_subject_that_is_no_name_is_refused_and_not_repeated(
    predict: Call, backends: Backends, subject: object
) -> None:
    content = json.dumps({"text": "Fine.", "subject": subject})
    answer = await predict(content=content.encode())
    wrong_field(answer, "subject")
    if isinstance(subject, str) and subject.strip():
        assert json.dumps(subject)[1:-1] not in answer.text
    assert backends.inference.predicts.requests == []


@pytest.mark.parametrize(
    ("subjects", "field"),
    [([SUBJECT], "subjects"), ([], "subjects"), (SUBJECT, "subjects"), (["a", ""], "subjects[1]")],
)
async def test_batch_names_as_many_subjects_as_texts(
    predict: Call, backends: Backends, subjects: object, field: str
) -> None:
    answer = await predict({"texts": ["a", "b"], "subjects": subjects}, path="/predict/batch")
    wrong_field(answer, field)
    assert SUBJECT not in answer.text
    assert backends.inference.predicts.requests == []


async def test_missing_sealing_key_is_a_refusal_to_try_again(
    predict: Call, backends: Backends
) -> None:
    backends.inference.predicts.failure = Unavailable(
        "There is no key.", reason="SEALING_KEY_MISSING", retry_after=10
    )
    answer = await predict({"text": "Fine.", "subject": SUBJECT})
    refused(answer, 503, "SEALING_KEY_MISSING")
    assert answer.headers["retry-after"] == "10"


async def test_text_is_given_to_those_who_may_read_it(get: Call, backends: Backends) -> None:
    path = f"/v1/predictions/{PREDICTION_ID}"
    backends.log.prediction.keeping.input = INPUT_KEEPING_ENCRYPTED
    assert (await get(path)).json()["input_text"] is None
    backends.log.prediction.input_text = "Fine."
    answer = await get(path, "predictions:read", include_input="true")
    refused(answer, 403, "SCOPE_MISSING")
    answer = await get(path, "predictions:read", "inputs:read", include_input="true")
    assert answer.json()["input_text"] == "Fine."
    assert answer.json()["input_keeping"] == "encrypted"
    asked = [(each.include_input, each.client_id) for each in backends.log.calls.requests]
    assert asked == [(False, "client-1"), (True, "client-1")]
    listed = await get("/v1/predictions", "predictions:read", "inputs:read")
    assert "input_text" not in listed.json()["predictions"][0]


@pytest.mark.parametrize(
    ("header", "subject"), [(SUBJECT, SUBJECT), ("Zo%C3%AB%20100%25", "Zoë 100%"), ("", "")]
)
async def test_predictions_about_a_person_are_asked_for_by_a_header(
    http: httpx.AsyncClient, issuer: FakeIssuer, backends: Backends, header: str, subject: str
) -> None:
    bearer = {"authorization": f"Bearer {issuer.token('predictions:read')}"}
    answer = await http.get("/v1/predictions", headers=bearer | {"weir-subject": header})
    assert answer.status_code == 200
    (request,) = backends.log.calls.requests
    assert request.filter.subject == subject


@pytest.mark.parametrize("header", ["%ff", "a%00b", "a" * 3073])
async def test_header_that_is_no_name_is_refused_and_not_repeated(
    http: httpx.AsyncClient, issuer: FakeIssuer, backends: Backends, header: str
) -> None:
    bearer = {"authorization": f"Bearer {issuer.token('predictions:read')}"}
    answer = await http.get("/v1/predictions", headers=bearer | {"weir-subject": header})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Weir-Subject"
    assert header not in answer.text
    backends.log.calls.failure = InvalidInput(
        "No.", violations=[FieldViolation("filter.subject", "is longer than 256 characters")]
    )
    answer = await http.get("/v1/predictions", headers=bearer | {"weir-subject": "s"})
    wrong_field(answer, "Weir-Subject")


async def test_erasure_begins_and_says_where_to_ask_for_it(
    erase: Call, backends: Backends, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await erase({"subject": SUBJECT})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/erasures/{ERASURE_ID}"
    assert answer.json() == {
        "erasure_id": ERASURE_ID,
        "state": "running",
        "requested_at": "2026-09-21T14:13:20Z",
        "completed_at": None,
        "redacted": 0,
    }
    (request,) = backends.privacy.calls.requests
    assert request == privacy_pb2.EraseSubjectRequest(
        tenant="tenant-1",
        client_id="client-1",
        client_address="127.0.0.1",
        subject=SUBJECT,
    )
    assert SUBJECT not in capsys.readouterr().out


async def test_finished_erasure_tells_when_and_how_much(get: Call, backends: Backends) -> None:
    backends.privacy.erasure = privacy_pb2.Erasure(
        erasure_id=ERASURE_ID,
        state=privacy_pb2.ERASURE_STATE_COMPLETE,
        requested_at=PREDICTED_AT,
        completed_at=Timestamp(seconds=PREDICTED_AT.seconds + 60),
        redacted=7,
    )
    answer = (await get(f"/v1/erasures/{ERASURE_ID}")).json()
    assert (answer["state"], answer["redacted"]) == ("complete", 7)
    assert answer["completed_at"] == "2026-09-21T14:14:20Z"
    (request,) = backends.privacy.calls.requests
    assert (request.tenant, request.erasure_id) == ("tenant-1", ERASURE_ID)


async def test_unknown_erasure_and_that_of_another_tenant_are_not_found(
    get: Call, backends: Backends
) -> None:
    refused(await get("/v1/erasures/nonsense"), 404, "ERASURE_NOT_FOUND")
    backends.privacy.calls.failure = NotFound("There is none.")
    refused(await get(f"/v1/erasures/{ERASURE_ID}"), 404, "ERASURE_NOT_FOUND")


async def test_erasing_needs_its_scope_and_a_name(erase: Call, get: Call) -> None:
    refused(await erase({"subject": SUBJECT}, "predictions:read"), 403, "SCOPE_MISSING")
    refused(await get(f"/v1/erasures/{ERASURE_ID}", "predictions:read"), 403, "SCOPE_MISSING")
    for body in ({}, {"subject": ""}, {"subject": "s" * 257}, {"subject": "a\tb"}):
        answer = await erase(body)
        wrong_field(answer, "subject")
        assert "a\\tb" not in answer.text


def test_tenants_of_the_clients_file_are_checked_and_survive_an_edit(tmp_path: Any) -> None:
    file = tmp_path / "clients.yaml"
    for wrong in (
        "tenants: {acme: {input: everything}}",
        "tenants: {acme: {text: plain}}",
        "tenants: {'a b': {}}",
        "tenants: {acme: {retention_class: 'a b'}}",
    ):
        file.write_text(wrong)
        with pytest.raises(ClientsFileInvalid, match="tenants"):
            parse_clients(file)
    file.write_text("tenants: {acme: {input: encrypted, retention_class: long}, other: {}}")
    arguments = ["--clients-file", str(file), "--pepper-file", str(tmp_path / "pepper")]
    named = ["--client-id", "shop", "--tenant", "acme", "--scope", "models:predict"]
    assert main(["create-client", *arguments, *named]) == 0
    content = parse_clients(file)
    assert content.tenants["acme"].input is InputKeeping.ENCRYPTED
    assert content.tenants["acme"].retention_class == "long"
    assert content.clients[0].client_id == "shop"
