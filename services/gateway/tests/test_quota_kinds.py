"""Tokens, caps and tenants' quotas as callers meet them."""

import asyncio
from typing import Any

import httpx
import pytest

from testkit.issuer import FakeIssuer

from .backends import Backends
from .conftest import Call
from .test_predict import refused


@pytest.fixture
def clients(clients: list[dict[str, Any]]) -> list[dict[str, Any]]:
    clients[1]["quotas"] = [{"limit": 100, "window_seconds": 60, "cost": "tokens"}]
    clients[1]["concurrency"] = {"limit": 1}
    return clients


@pytest.fixture
def tenants(tenants: dict[str, Any]) -> dict[str, Any]:
    return tenants | {"tenant-1": {"quotas": [{"limit": 7, "window_seconds": 3600}]}}


@pytest.fixture
def frugal(predict: Call, issuer: FakeIssuer) -> Call:
    async def call(text: str = "good") -> httpx.Response:
        token = issuer.token("models:predict", client_id="frugal")
        answer: httpx.Response = await predict({"text": text}, token=token)
        return answer

    return call


async def test_fields_tell_units_and_whose_quotas_they_are(frugal: Call) -> None:
    answer = await frugal()
    assert answer.headers["ratelimit-policy"] == (
        '"minute-tokens";q=100;qu="tokens";w=60, "tenant-hour";q=7;w=3600, '
        '"concurrency";q=1;qu="concurrent-requests"'
    )
    tokens, tenant, places = answer.headers["ratelimit"].split(", ")
    # Four bytes and two special tokens at most; the backend tells of none.
    assert tokens.startswith('"minute-tokens";r=94;t=')
    assert tenant.startswith('"tenant-hour";r=6;t=')
    assert places == '"concurrency";r=0'


async def test_second_request_at_the_same_time_is_refused_until_the_first_is_answered(
    frugal: Call, backends: Backends
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        asked.set()
        await go_on.wait()

    backends.inference.predicts.wait = hold
    first = asyncio.create_task(frugal())
    await asked.wait()
    answer = await frugal()
    problem = refused(answer, 429, "CONCURRENCY_EXCEEDED")
    assert problem["violated-policies"] == ["concurrency"]
    assert answer.headers["retry-after"] == "1"
    go_on.set()
    assert (await first).status_code == 200
    assert (await frugal()).status_code == 200


async def test_more_tokens_than_the_quota_holds_can_never_pass(frugal: Call) -> None:
    answer = await frugal("x" * 99)
    refused(answer, 422, "COST_OVER_QUOTA")
