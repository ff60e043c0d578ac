"""Who may call what, and what calls answer while the database is slow or away."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servicekit.errors import (
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unavailable,
)
from servicekit.identifiers import new_id
from testkit.issuer import FakeIssuer
from weir.predictions.v1 import predictions_pb2 as pb

Call = Callable[..., Any]


def every_method(prediction_id: str, **fields: str) -> list[Any]:
    return [
        pb.GetPredictionRequest(prediction_id=prediction_id, **fields),
        pb.ListPredictionsRequest(**fields),
        pb.GetStatsRequest(**fields),
        pb.ListFeedbackRequest(prediction_id=prediction_id, **fields),
        pb.RecordFeedbackRequest(prediction_id=prediction_id, score=1.0, **fields),
    ]


async def test_another_tenants_prediction_does_not_exist(
    log: Any, facts: Any, call: Call, issuer: FakeIssuer
) -> None:
    fact = facts.prediction(tenant="tenant-2")
    await log.recorder().record(facts.events(fact))
    get, listing, stats, history, feedback = every_method(fact.prediction_id)
    for request in (get, history, feedback):
        with pytest.raises(NotFound):
            await call(request)
    assert not (await call(listing)).predictions
    assert (await call(stats)).predictions == 0
    owner = issuer.token("predictions:read", tenant="tenant-2")
    assert (await call(get, token=owner)).prediction.prediction_id == fact.prediction_id


async def test_only_a_delegate_may_state_a_tenant(
    log: Any, facts: Any, call: Call, issuer: FakeIssuer
) -> None:
    fact = facts.prediction(tenant="tenant-2")
    await log.recorder().record(facts.events(fact))
    gateway = issuer.token(
        "predictions:read", "feedback:write", "delegate", client_id="weir-gateway", tenant="weir"
    )
    for request in every_method(fact.prediction_id, tenant="tenant-2"):
        with pytest.raises(PermissionDenied) as caught:
            await call(request)
        assert caught.value.code == "DELEGATION_DENIED"
        await call(request, token=gateway)
    for request in every_method(fact.prediction_id, tenant="tenant-1"):
        if hasattr(request, "prediction_id"):
            with pytest.raises(NotFound):
                await call(request, token=gateway)


async def test_own_tenant_may_be_stated(log: Any, facts: Any, call: Call) -> None:
    fact = facts.prediction()
    await log.recorder().record(facts.events(fact))
    for request in every_method(fact.prediction_id, tenant="tenant-1"):
        await call(request)


@pytest.mark.parametrize("tenant", ["a\0b", "t" * 129])
async def test_tenant_that_cannot_be_is_an_invalid_field(
    call: Call, issuer: FakeIssuer, tenant: str
) -> None:
    token = issuer.token("predictions:read", "feedback:write", "delegate")
    for request in every_method(str(new_id()), tenant=tenant):
        with pytest.raises(InvalidInput) as caught:
            await call(request, token=token)
        assert [violation.field for violation in caught.value.violations] == ["tenant"]


async def test_each_method_needs_its_scope(call: Call, issuer: FakeIssuer) -> None:
    *reads, feedback = every_method(str(new_id()))
    for request in reads:
        with pytest.raises(PermissionDenied, match="predictions:read"):
            await call(request, token=issuer.token("feedback:write"))
    with pytest.raises(PermissionDenied, match="feedback:write"):
        await call(feedback, token=issuer.token("predictions:read"))
    with pytest.raises(PermissionDenied, match="predictions:write"):
        await call(iter([]), token=issuer.token("predictions:read", "feedback:write", "delegate"))


async def test_query_that_takes_too_long_is_ended(
    log: Any, facts: Any, serve: Any, open_log: Any
) -> None:
    await log.recorder().record(facts.events(facts.prediction()))
    impatient = await serve(open_log(log.url, statement_timeout=0.3).database)
    async with log.database.transaction() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.execute("LOCK TABLE prediction_logs IN ACCESS EXCLUSIVE MODE")
        for request in every_method(str(new_id())):
            with pytest.raises(DeadlineExceeded) as caught:
                await impatient(request)
            assert caught.value.code == "QUERY_TOO_SLOW"
    await impatient(pb.ListPredictionsRequest())


async def test_waiting_for_a_connection_is_bounded(log: Any, serve: Any, open_log: Any) -> None:
    narrow = open_log(log.url, pool_size=1, pool_timeout=0.2)
    crowded = await serve(narrow.database)
    async with narrow.database.transaction():
        with pytest.raises(Unavailable) as caught:
            await crowded(pb.ListPredictionsRequest())
    assert caught.value.code == "LOG_STORE_UNAVAILABLE"
    await crowded(pb.ListPredictionsRequest())


async def test_without_a_database_every_method_says_so(
    tmp_path: Path, serve: Any, open_log: Any
) -> None:
    call = await serve(open_log(f"postgresql://nobody@/weir?host={tmp_path}").database)
    for request in every_method(str(new_id())):
        with pytest.raises(ServiceError) as caught:
            await call(request)
        assert isinstance(caught.value, Unavailable)
        assert caught.value.code == "LOG_STORE_UNAVAILABLE"
        assert caught.value.retry_after == 1.0
        assert str(tmp_path) not in caught.value.message


async def test_abandoned_calls_give_their_connection_back(
    log: Any, serve: Any, open_log: Any
) -> None:
    narrow = open_log(log.url, pool_size=1, pool_timeout=5.0)
    call = await serve(narrow.database)
    async with log.database.transaction() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.execute("LOCK TABLE prediction_logs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(DeadlineExceeded):
            await call(pb.ListPredictionsRequest(), seconds=0.2)
    async with asyncio.timeout(5):
        await call(pb.ListPredictionsRequest())
