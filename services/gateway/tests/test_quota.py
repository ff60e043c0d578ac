"""Quotas as callers meet them."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from servicekit.errors import Unavailable
from testkit.issuer import FakeIssuer

from .backends import Backends
from .conftest import Call
from .test_predict import refused

BODY = {"text": "x"}
BATCH = "/predict/batch"


@pytest.fixture
def frugal(predict: Call, issuer: FakeIssuer) -> Call:
    """Predicts as a client of 3 a minute."""

    async def call(json: object = None, **more: Any) -> httpx.Response:
        token = issuer.token("models:predict", client_id="frugal")
        answer: httpx.Response = await predict(json or BODY, token=token, **more)
        return answer

    return call


async def test_answer_tells_what_is_left(frugal: Call) -> None:
    answer = await frugal()
    assert answer.headers["ratelimit-policy"] == '"minute";q=3;w=60, "hour";q=1000;w=3600'
    minute, hour = answer.headers["ratelimit"].split(", ")
    assert minute.startswith('"minute";r=2;t=')
    assert hour.startswith('"hour";r=999;t=')


async def test_quota_is_exact_for_callers_at_once(frugal: Call) -> None:
    answers = await asyncio.gather(*(frugal() for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 9


async def test_over_quota_is_told_the_policy_and_when_to_come_back(frugal: Call) -> None:
    for _ in range(3):
        await frugal()
    answer = await frugal()
    problem = refused(answer, 429, "QUOTA_EXCEEDED")
    assert "3 predictions a minute" in problem["detail"]
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["violated-policies"] == ["minute"]
    assert 50 <= int(answer.headers["retry-after"]) <= 61
    # It points at no earlier time than what the fields tell of.
    (told,) = answer.headers["ratelimit"].split(", ")
    assert told.startswith('"minute";r=0;t=')
    assert int(told.rpartition("=")[2]) <= int(answer.headers["retry-after"])
    assert answer.headers["ratelimit-policy"].startswith('"minute";q=3;w=60')


async def test_batch_costs_its_texts(frugal: Call) -> None:
    answer = await frugal({"texts": ["a", "b"]}, path=BATCH)
    assert answer.headers["ratelimit"].startswith('"minute";r=1;')


async def test_batch_over_what_is_left_is_refused_whole(frugal: Call, backends: Backends) -> None:
    await frugal({"texts": ["a", "b"]}, path=BATCH)
    refused(await frugal({"texts": ["a", "b"]}, path=BATCH), 429, "QUOTA_EXCEEDED")
    assert len(backends.inference.predicts.requests) == 1
    assert (await frugal()).status_code == 200


async def test_batch_over_the_whole_quota_can_never_pass(frugal: Call) -> None:
    answer = await frugal({"texts": ["x"] * 4}, path=BATCH)
    refused(answer, 422, "COST_OVER_QUOTA")
    assert "retry-after" not in answer.headers


async def test_bad_input_costs_nothing(frugal: Call) -> None:
    for _ in range(5):
        assert (await frugal({"text": " "})).status_code == 422
    assert (await frugal()).headers["ratelimit"].startswith('"minute";r=2;')


async def test_work_that_was_shed_is_refunded(frugal: Call, backends: Backends) -> None:
    backends.inference.predicts.failure = Unavailable("Away.", retry_after=1.0)
    for _ in range(5):
        assert (await frugal()).status_code == 503
    backends.inference.predicts.failure = None
    assert (await frugal()).headers["ratelimit"].startswith('"minute";r=2;')


async def test_defaults_hold_for_a_client_without_quotas(
    clients: list[dict[str, Any]], frugal_without_quotas: Call
) -> None:
    answer = await frugal_without_quotas()
    assert answer.headers["ratelimit-policy"] == '"minute";q=60;w=60, "hour";q=1000;w=3600'


@pytest.fixture
def frugal_without_quotas(clients: list[dict[str, Any]], request: pytest.FixtureRequest) -> Call:
    del clients[1]["quotas"]
    call: Call = request.getfixturevalue("frugal")
    return call


class TestGatewayWithRedisAway:
    @pytest.fixture
    def settings(self, settings: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
        return settings | {"quota_redis_url": f"unix://{tmp_path}/nobody.sock"}

    async def test_predictions_go_on_within_the_local_share(self, frugal: Call) -> None:
        answers = [await frugal() for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
