"""The contract, over a real channel."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from grpc.aio import AioRpcError

from inference.model_repository import ModelRepository, load_repository
from testkit.issuer import FakeIssuer
from testkit.tiny_model import positive_probability
from testkit.tiny_tensors import write_tensor_package
from weir.events.v1 import events_pb2
from weir.inference.v1 import inference_pb2 as pb

GATEWAY = "weir-gateway"
Connect = Callable[[str], Any]
Recorded = Callable[[], Awaitable[list[events_pb2.PredictionRecorded]]]


def request(*items: pb.PredictItem | str, model: str = "sentiment") -> pb.PredictRequest:
    return pb.PredictRequest(
        model=model,
        items=[pb.PredictItem(text=item) if isinstance(item, str) else item for item in items],
    )


async def test_text_is_predicted_and_recorded_under_the_callers_identity(
    connect: Connect, recorded: Recorded, issuer: FakeIssuer
) -> None:
    stub = connect(issuer.token("models:predict", client_id="batch-job", tenant="acme"))
    response = await stub.Predict(request("Good day"), metadata=(("x-request-id", "req-1"),))

    (outcome,) = response.outcomes
    prediction = outcome.prediction
    assert prediction.label == "positive"
    assert prediction.confidence == pytest.approx(positive_probability("good", "day"))
    assert [each.label for each in prediction.probabilities] == ["negative", "positive"]
    assert sum(each.probability for each in prediction.probabilities) == pytest.approx(1)
    assert (prediction.model, prediction.model_version) == ("sentiment", "1")
    assert UUID(prediction.prediction_id).version == 7
    assert not prediction.unlogged

    (event,) = await recorded()
    assert event.prediction_id == prediction.prediction_id
    assert event.predicted_at == prediction.predicted_at
    assert (event.tenant, event.client_id, event.delegate_id) == ("acme", "batch-job", "")
    assert event.request_id == "req-1"
    assert event.input.sha256 == hashlib.sha256(b"Good day").digest()
    assert (event.input.characters, event.input.tokens) == (8, 4)
    assert (event.input.special_tokens, event.input.unknown_tokens) == (2, 0)
    assert event.label == "positive"
    assert event.confidence == prediction.confidence
    assert event.probabilities["positive"] == prediction.confidence
    assert event.inference_ms > 0
    assert b"ood" not in event.SerializeToString()


async def test_outcomes_keep_the_order_of_the_items(connect: Connect, issuer: FakeIssuer) -> None:
    stub = connect(issuer.token("models:predict"))
    response = await stub.Predict(request("good", "bad", "good", "bad"))
    labels = [outcome.prediction.label for outcome in response.outcomes]
    assert labels == ["positive", "negative", "positive", "negative"]
    ids = [outcome.prediction.prediction_id for outcome in response.outcomes]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (pb.PredictItem(), pb.ITEM_ERROR_REASON_INPUT_MISSING),
        (pb.PredictItem(row=pb.Row()), pb.ITEM_ERROR_REASON_INPUT_KIND),
        (pb.PredictItem(text=""), pb.ITEM_ERROR_REASON_TEXT_BLANK),
        (pb.PredictItem(text=" \n\t "), pb.ITEM_ERROR_REASON_TEXT_BLANK),
        (pb.PredictItem(text="x" * 5001), pb.ITEM_ERROR_REASON_TEXT_TOO_LONG),
        (pb.PredictItem(text="good\0day"), pb.ITEM_ERROR_REASON_TEXT_INVALID),
    ],
)
async def test_bad_item_is_rejected_and_the_others_are_predicted(
    connect: Connect,
    recorded: Recorded,
    issuer: FakeIssuer,
    item: pb.PredictItem,
    reason: pb.ItemErrorReason,
) -> None:
    stub = connect(issuer.token("models:predict"))
    response = await stub.Predict(request(item, "good"))
    assert response.outcomes[0].error.reason == reason
    assert response.outcomes[1].prediction.label == "positive"
    assert len(await recorded()) == 1


async def test_call_of_bad_items_alone_records_nothing(
    connect: Connect, recorded: Recorded, issuer: FakeIssuer
) -> None:
    response = await connect(issuer.token("models:predict")).Predict(request(""))
    assert response.outcomes[0].HasField("error")
    assert await recorded() == []


async def test_longest_text_is_taken_and_cut_to_the_token_limit(
    connect: Connect, recorded: Recorded, issuer: FakeIssuer
) -> None:
    text = ("good " * 1000)[:5000]
    response = await connect(issuer.token("models:predict")).Predict(request(text))
    assert response.outcomes[0].prediction.label == "positive"
    (event,) = await recorded()
    assert (event.input.characters, event.input.tokens) == (5000, 16)


async def test_delegate_states_whom_each_item_is_for(
    connect: Connect, recorded: Recorded, issuer: FakeIssuer
) -> None:
    stub = connect(issuer.token("models:predict", "delegate", tenant="weir"))
    items = [
        pb.PredictItem(
            text="good", caller=pb.Caller(tenant=tenant, client_id=client), request_id=client
        )
        for tenant, client in (("acme", "a-1"), ("zeta", "z-1"))
    ]
    await stub.Predict(request(*items))
    identities = {
        (event.tenant, event.client_id, event.delegate_id, event.request_id)
        for event in await recorded()
    }
    assert identities == {("acme", "a-1", GATEWAY, "a-1"), ("zeta", "z-1", GATEWAY, "z-1")}


@pytest.mark.parametrize(
    ("scopes", "caller"),
    [
        (["models:predict"], pb.Caller(tenant="acme", client_id="client-1")),
        (["models:predict"], pb.Caller(tenant="tenant-1", client_id="somebody-else")),
        (["models:predict", "delegate"], pb.Caller(tenant="acme")),
        (["models:predict", "delegate"], pb.Caller(client_id="a-1")),
    ],
)
async def test_nobody_speaks_for_others_without_the_right(
    connect: Connect,
    recorded: Recorded,
    issuer: FakeIssuer,
    scopes: list[str],
    caller: pb.Caller,
) -> None:
    stub = connect(issuer.token(*scopes))
    assert await code_of(stub, request(pb.PredictItem(text="good", caller=caller))) == (
        grpc.StatusCode.PERMISSION_DENIED
    )
    assert await recorded() == []


async def test_stating_ones_own_identity_is_no_delegation(
    connect: Connect, recorded: Recorded, issuer: FakeIssuer
) -> None:
    own = pb.Caller(tenant="tenant-1", client_id="client-1")
    await connect(issuer.token("models:predict")).Predict(
        request(pb.PredictItem(text="good", caller=own))
    )
    (event,) = await recorded()
    assert event.delegate_id == ""


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (request(), grpc.StatusCode.INVALID_ARGUMENT),
        (request(*["good"] * 5), grpc.StatusCode.INVALID_ARGUMENT),
        (request("good", model="absent"), grpc.StatusCode.NOT_FOUND),
        (request("good", model=""), grpc.StatusCode.NOT_FOUND),
        (
            pb.PredictRequest(model="sentiment", version="9", items=[pb.PredictItem(text="good")]),
            grpc.StatusCode.NOT_FOUND,
        ),
    ],
)
async def test_call_that_cannot_be_tried_fails_whole(
    connect: Connect,
    recorded: Recorded,
    issuer: FakeIssuer,
    call: pb.PredictRequest,
    code: grpc.StatusCode,
) -> None:
    assert await code_of(connect(issuer.token("models:predict")), call) == code
    assert await recorded() == []


async def test_predicting_needs_its_scope(connect: Connect, issuer: FakeIssuer) -> None:
    stub = connect(issuer.token("models:read"))
    assert await code_of(stub, request("good")) == grpc.StatusCode.PERMISSION_DENIED


async def test_without_a_token_nothing_is_predicted(connect: Connect, recorded: Recorded) -> None:
    assert await code_of(connect(""), request("good")) == grpc.StatusCode.UNAUTHENTICATED
    assert await recorded() == []


async def test_models_are_listed_and_described(connect: Connect, issuer: FakeIssuer) -> None:
    stub = connect(issuer.token("models:read"))
    (listed,) = (await stub.ListModels(pb.ListModelsRequest())).models
    described = (await stub.GetModel(pb.GetModelRequest(model="sentiment"))).model
    assert listed == described
    assert (described.name, described.task) == ("sentiment", "text-classification")
    assert list(described.labels) == ["negative", "positive"]
    assert (described.max_characters, described.max_tokens) == (5000, 16)
    (version,) = described.versions
    assert (version.version, version.traffic_percent) == ("1", 100)
    with pytest.raises(AioRpcError, match="NOT_FOUND"):
        await stub.GetModel(pb.GetModelRequest(model="absent"))


async def code_of(stub: Any, call: pb.PredictRequest) -> grpc.StatusCode:
    with pytest.raises(AioRpcError) as caught:
        await stub.Predict(call)
    code: grpc.StatusCode = caught.value.code()
    return code


async def test_row_of_a_table_is_predicted_by_a_model_of_tensors(
    connect: Connect,
    recorded: Recorded,
    issuer: FakeIssuer,
    repository: ModelRepository,
    tmp_path: Path,
) -> None:
    write_tensor_package(tmp_path, classifies=False)
    models = {name: repository.model(name) for name in repository.names()}
    repository.replace(models | {"churn": load_repository(tmp_path).model("churn")})
    features = {"age": pb.FeatureValue(number=2.5), "visits": pb.FeatureValue(number=1)}
    item = pb.PredictItem(row=pb.Row(features=features))
    try:
        answer = await connect(issuer.token("models:predict")).Predict(request(item, model="churn"))
    finally:
        repository.replace(models)
    prediction = answer.outcomes[0].prediction
    assert (prediction.label, prediction.confidence, len(prediction.probabilities)) == ("", 0, 0)
    (event,) = await recorded()
    assert (event.model, event.label, dict(event.probabilities)) == ("churn", "", {})
    assert (len(event.input.sha256), event.input.characters, event.input.tokens) == (32, 0, 0)
