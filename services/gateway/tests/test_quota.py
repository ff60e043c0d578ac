"""Quotas as callers meet them, with Redis well, stalled and away."""

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog

from gateway.domain import Client, QuotaExceeded, QuotaPolicy, QuotaUnavailable
from gateway.quota_meter import QuotaMeter
from gateway.redis_quota import RedisQuota
from servicekit.errors import Unavailable
from servicekit.redis_client import open_redis
from testkit.issuer import FakeIssuer
from testkit.stores import Store, running_redis

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
    assert "3 predictions a minute" in refused(answer, 429, "QUOTA_EXCEEDED")["detail"]
    assert 59 <= int(answer.headers["retry-after"]) <= 61
    assert answer.headers["ratelimit"].startswith('"minute";r=0;t=')
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


# A meter before a Redis of its own, which the tests break.

CLIENT = Client("c", "t", (), frozenset(), (QuotaPolicy(10, 3600),))


@pytest.fixture
def broken_redis(tmp_path: Path) -> Iterator[Store]:
    with running_redis(tmp_path, durable=False) as server:
        yield server


MakeMeter = Callable[[float], QuotaMeter]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def meter_before(broken_redis: Store, clock: Clock) -> AsyncIterator[MakeMeter]:
    """Makes a meter, with a share of a half, that waits so many seconds for Redis."""
    async with AsyncExitStack() as stack:

        def make(timeout: float) -> QuotaMeter:
            redis = open_redis(broken_redis.url, timeout=timeout)
            stack.push_async_callback(redis.aclose)
            return QuotaMeter(RedisQuota(redis), replicas=2, retry_interval=0.5, clock=clock)

        yield make


async def count_admitted(meter: QuotaMeter, tries: int) -> int:
    admitted = 0
    for _ in range(tries):
        try:
            await meter.charge(CLIENT, 1)
            admitted += 1
        except QuotaExceeded:
            pass
    return admitted


async def test_redis_away_leaves_the_local_share(
    broken_redis: Store, meter_before: MakeMeter
) -> None:
    broken_redis.stop()
    assert await count_admitted(meter_before(0.02), 20) == 5


async def test_stalled_redis_leaves_the_local_share_without_waiting_for_it(
    broken_redis: Store, meter_before: MakeMeter
) -> None:
    meter = meter_before(0.2)
    charge = await meter.charge(CLIENT, 1)
    broken_redis.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(2):
            # Only the first three of these wait for Redis, 0.2 seconds each.
            assert await count_admitted(meter, 200) == 5
            await meter.refund(charge)
    finally:
        broken_redis.send(signal.SIGCONT)


async def test_changes_of_state_are_logged_once(
    broken_redis: Store, clock: Clock, meter_before: MakeMeter
) -> None:
    meter = meter_before(5.0)
    with structlog.testing.capture_logs() as logs:
        broken_redis.stop()
        await count_admitted(meter, 20)
        clock.now += 1
        await count_admitted(meter, 20)
        broken_redis.start_ready()
        clock.now += 1
        await count_admitted(meter, 20)
    events = [entry["event"] for entry in logs]
    assert [event for event in events if event.startswith("quota")] == [
        "quota_store_away",
        "quota_store_back",
    ]


async def test_restart_of_redis_between_two_requests_is_not_felt(
    broken_redis: Store, meter_before: MakeMeter
) -> None:
    meter = meter_before(5.0)
    await asyncio.gather(*(meter.charge(CLIENT, 1) for _ in range(5)))
    broken_redis.kill()
    broken_redis.start_ready()
    charges = await asyncio.gather(*(meter.charge(CLIENT, 1) for _ in range(5)))
    assert not any(charge.local for charge in charges)


async def test_one_slow_answer_is_no_outage(
    broken_redis: Store, clock: Clock, meter_before: MakeMeter
) -> None:
    meter = meter_before(0.1)
    await meter.charge(CLIENT, 1)
    with structlog.testing.capture_logs() as logs:
        broken_redis.send(signal.SIGSTOP)
        try:
            assert (await meter.charge(CLIENT, 1)).local
        finally:
            broken_redis.send(signal.SIGCONT)
        assert not (await meter.charge(CLIENT, 1)).local
    assert [entry["event"] for entry in logs] == []


async def test_batch_over_the_local_share_is_told_to_come_back(
    broken_redis: Store, meter_before: MakeMeter
) -> None:
    broken_redis.stop()
    with pytest.raises(QuotaUnavailable) as caught:
        await meter_before(0.02).charge(CLIENT, 6)
    assert caught.value.retry_after == math.ceil(0.5)


async def test_local_charge_is_refunded_locally(
    broken_redis: Store, meter_before: MakeMeter
) -> None:
    broken_redis.stop()
    meter = meter_before(0.02)
    for _ in range(10):
        await meter.refund(await meter.charge(CLIENT, 5))


class TestGatewayWithRedisAway:
    @pytest.fixture
    def settings(self, settings: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
        return settings | {"quota_redis_url": f"unix://{tmp_path}/nobody.sock"}

    async def test_predictions_go_on_within_the_local_share(self, frugal: Call) -> None:
        answers = [await frugal() for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
