"""The quota's arithmetic: in this process and in Redis, over random traces of requests."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.domain import QuotaPolicy
from gateway.redis_quota import RedisQuota
from gateway.sliding_window import LocalQuota
from servicekit.redis_client import open_redis
from testkit.stores import Store

MINUTE = QuotaPolicy(60, 60)
Trace = list[tuple[int, int]]
"""Milliseconds since the request before, and the cost."""

policies = st.lists(
    st.builds(QuotaPolicy, st.integers(1, 40), st.sampled_from([1, 7, 60, 61, 3600])),
    min_size=1,
    max_size=3,
    unique_by=lambda policy: policy.window,
)
traces = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 50), st.integers(0, 5000), st.integers(0, 100_000)),
        st.integers(1, 5),
    ),
    max_size=60,
)
T0 = 1_790_000_000_000


class Clock:
    def __init__(self, now: int = T0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def worst_window(admitted: Sequence[tuple[int, int]], window_ms: int) -> int:
    """The most that any rolling window of that length admitted."""
    return max(
        (
            sum(cost for at, cost in admitted if start <= at < start + window_ms)
            for start, _ in admitted
        ),
        default=0,
    )


@given(policies=policies, trace=traces)
def test_no_rolling_window_ever_holds_more_than_the_limit(
    policies: list[QuotaPolicy], trace: Trace
) -> None:
    clock = Clock()
    quota = LocalQuota(clock)
    admitted = []
    for pause, cost in trace:
        clock.now += pause
        if cost <= min(p.limit for p in policies) and quota.spend("k", policies, cost).allowed:
            admitted.append((clock.now, cost))
    for policy in policies:
        # A window that is closed at both ends: one millisecond more than asked for.
        assert worst_window(admitted, policy.window * 1000 + 1) <= policy.limit


@given(policies=policies, trace=traces)
def test_wait_is_exact(policies: list[QuotaPolicy], trace: Trace) -> None:
    clock = Clock()
    quota = LocalQuota(clock)
    for pause, cost in trace:
        clock.now += pause
        if cost > min(p.limit for p in policies):
            continue
        decision = quota.spend("k", policies, cost)
        if decision.allowed:
            assert decision.wait == 0
            continue
        now = clock.now
        clock.now = now + round(decision.wait * 1000) - 1
        assert not quota.spend("k", policies, cost).allowed
        clock.now += 1
        again = quota.spend("k", policies, cost)
        assert again.allowed
        quota.refund("k", policies, again.receipt, cost)
        return


@given(trace=traces)
def test_refusal_costs_nothing(trace: Trace) -> None:
    small, large = QuotaPolicy(5, 60), QuotaPolicy(1000, 3600)
    clock = Clock()
    quota = LocalQuota(clock)
    admitted = 0
    for pause, cost in trace:
        clock.now += pause % 60
        decision = quota.spend("k", [small, large], cost)
        admitted += cost if decision.allowed else 0
        assert decision.states[1].remaining == 1000 - admitted


def test_sixty_at_once_then_none_for_a_minute() -> None:
    clock = Clock()
    quota = LocalQuota(clock)
    assert quota.spend("k", [MINUTE], 60).allowed
    refused = quota.spend("k", [MINUTE], 1)
    assert refused.refused_by == MINUTE
    assert 60 < refused.wait <= 61


def test_state_tells_when_more_is_left() -> None:
    clock = Clock(T0 - T0 % 1000)
    quota = LocalQuota(clock)
    quota.spend("k", [MINUTE], 10)
    clock.now += 30_000
    (state,) = quota.spend("k", [MINUTE], 1).states
    assert (state.remaining, state.changes_in) == (49, 31.0)


def test_refund_gives_back_what_was_charged() -> None:
    quota = LocalQuota(Clock())
    charged = quota.spend("k", [MINUTE], 60)
    quota.refund("k", [MINUTE], charged.receipt, 60)
    assert quota.spend("k", [MINUTE], 60).allowed


def test_clients_do_not_share() -> None:
    quota = LocalQuota(Clock())
    assert quota.spend("a", [MINUTE], 60).allowed
    assert quota.spend("b", [MINUTE], 60).allowed


@settings(max_examples=30, deadline=None)
@given(policies=policies, trace=traces)
def test_redis_decides_as_this_process_does(
    redis_server: Store, policies: list[QuotaPolicy], trace: Trace
) -> None:
    async def compare() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushall()
            clock = Clock()
            here, there = LocalQuota(clock), RedisQuota(redis, clock=clock)
            for pause, cost in trace:
                clock.now += pause
                if cost > min(p.limit for p in policies):
                    continue
                expected = here.spend("k", policies, cost)
                decided = await there.spend("k", policies, cost)
                assert decided == expected
                if decided.allowed and cost == 2:
                    here.refund("k", policies, expected.receipt, cost)
                    await there.refund("k", policies, decided.receipt, cost)

    asyncio.run(compare())


@pytest.mark.parametrize("limit", [1, 60, 100])
async def test_many_at_once_get_exactly_the_limit(
    redis: Redis, redis_server: Store, limit: int
) -> None:
    policy = [QuotaPolicy(limit, 3600)]
    async with AsyncExitStack() as stack:
        gateways = []
        for _ in range(3):
            client = open_redis(redis_server.url, timeout=10.0, retries=0)
            stack.push_async_callback(client.aclose)
            gateways.append(RedisQuota(client))
        decisions = await asyncio.gather(
            *(gateways[index % 3].spend("k", policy, 1) for index in range(150))
        )
    assert sum(decision.allowed for decision in decisions) == limit


async def test_script_is_sent_again_after_redis_forgot_it(redis: Redis) -> None:
    quota = RedisQuota(redis)
    await quota.spend("k", [MINUTE], 1)
    await redis.script_flush()
    assert (await quota.spend("k", [MINUTE], 1)).states[0].remaining == 58


async def test_counters_vanish_with_their_window(redis: Redis) -> None:
    await RedisQuota(redis).spend("k", [MINUTE], 1)
    (key,) = await redis.keys("*")
    assert 60_000 < await redis.pttl(key) <= 62_000


async def test_key_holds_no_more_than_the_window(redis: Redis) -> None:
    clock = Clock()
    quota = RedisQuota(redis, clock=clock)
    for _ in range(200):
        clock.now += 1000
        await quota.spend("k", [QuotaPolicy(1000, 60)], 1)
    (key,) = await redis.keys("*")
    assert await redis.hlen(key) <= 61


@settings(max_examples=30, deadline=None)
@given(policies=policies, trace=traces, together=st.integers(2, 20))
def test_requests_that_share_a_call_are_decided_one_by_one(
    redis_server: Store, policies: list[QuotaPolicy], trace: Trace, together: int
) -> None:
    async def compare() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushall()
            clock = Clock()
            here, there = LocalQuota(clock), RedisQuota(redis, clock=clock)
            for start in range(0, len(trace), together):
                clock.now += trace[start][0]
                group = [(f"k{cost % 2}", cost) for _, cost in trace[start : start + together]]
                group = [(k, cost) for k, cost in group if cost <= min(p.limit for p in policies)]
                decided = await asyncio.gather(
                    *(there.spend(key, policies, cost) for key, cost in group)
                )
                assert decided == [here.spend(key, policies, cost) for key, cost in group]

    asyncio.run(compare())


async def test_script_that_redis_has_forgotten_is_sent_again(redis: Redis) -> None:
    quota = RedisQuota(redis)
    await quota.spend("a", [MINUTE], 1)
    await redis.script_flush()
    decided = await asyncio.gather(*(quota.spend(key, [MINUTE], 1) for key in "aab"))
    assert [decision.states[0].remaining for decision in decided] == [58, 57, 59]
