"""The quota's arithmetic: in this process and in Redis, over random traces of requests."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.domain import QuotaPolicy
from gateway.local_quota import LocalQuota
from gateway.quota_account import Account, Cost
from gateway.redis_quota import RedisQuota
from testkit.stores import Store

from .quota_accounts import (
    T0,
    Clock,
    Trace,
    account,
    accounts,
    fits_ever,
    policies,
    traces,
    worst_window,
)

MINUTE = QuotaPolicy(60, 60)
ONE = Cost(1)


@given(account=accounts, trace=traces)
def test_no_rolling_window_ever_holds_more_than_the_limit(account: Account, trace: Trace) -> None:
    clock = Clock()
    quota = LocalQuota(clock)
    admitted: list[tuple[int, Cost]] = []
    for pause, cost in trace:
        clock.now += pause
        if fits_ever(account, cost) and quota.spend(account, cost).allowed:
            admitted.append((clock.now, cost))
    for policy in account.policies:
        spent = [(at, cost.of(policy)) for at, cost in admitted]
        # A window that is closed at both ends: one millisecond more than asked for.
        assert worst_window(spent, policy.window * 1000 + 1) <= policy.limit


@given(account=accounts, trace=traces)
def test_nothing_is_refused_that_fits_a_window_a_sixtieth_longer(
    account: Account, trace: Trace
) -> None:
    clock = Clock()
    quota = LocalQuota(clock)
    admitted: list[tuple[int, Cost]] = []
    for pause, cost in trace:
        clock.now += pause
        if not fits_ever(account, cost):
            continue
        if quota.spend(account, cost).allowed:
            admitted.append((clock.now, cost))
            continue
        assert any(
            cost.of(policy)
            + sum(
                c.of(policy)
                for at, c in admitted
                if clock.now - at < policy.window * 1000 * 61 / 60
            )
            > policy.limit
            for policy in account.policies
        )


@given(account=accounts, trace=traces)
def test_wait_is_exact(account: Account, trace: Trace) -> None:
    clock = Clock()
    quota = LocalQuota(clock)
    for pause, cost in trace:
        clock.now += pause
        if not fits_ever(account, cost):
            continue
        decision = quota.spend(account, cost)
        if decision.allowed:
            assert decision.wait == 0
            continue
        now = clock.now
        clock.now = now + round(decision.wait * 1000) - 1
        assert not quota.spend(account, cost).allowed
        clock.now += 1
        assert quota.spend(account, cost).allowed
        return


@given(trace=traces)
def test_refusal_costs_nothing(trace: Trace) -> None:
    both = account(QuotaPolicy(5, 60), QuotaPolicy(1000, 3600))
    clock = Clock()
    quota = LocalQuota(clock)
    admitted = 0
    for pause, cost in trace:
        clock.now += pause % 60
        decision = quota.spend(both, cost)
        admitted += cost.items if decision.allowed else 0
        assert decision.states[1].remaining == 1000 - admitted


def test_sixty_at_once_then_none_for_a_minute() -> None:
    quota = LocalQuota(Clock())
    assert quota.spend(account(MINUTE), Cost(60)).allowed
    refused = quota.spend(account(MINUTE), ONE)
    assert refused.violated == (MINUTE,)
    assert 60 < refused.wait <= 61


def test_state_tells_when_more_is_left() -> None:
    clock = Clock(T0 - T0 % 1000)
    quota = LocalQuota(clock)
    quota.spend(account(MINUTE), Cost(10))
    clock.now += 30_000
    (state,) = quota.spend(account(MINUTE), ONE).states
    assert (state.remaining, state.changes_in) == (49, 31.0)


def test_refund_gives_back_what_was_charged() -> None:
    quota = LocalQuota(Clock())
    charged = quota.spend(account(MINUTE), Cost(60))
    quota.refund(account(MINUTE), charged.receipt, Cost(60))
    assert quota.spend(account(MINUTE), Cost(60)).allowed


def test_clients_do_not_share() -> None:
    quota = LocalQuota(Clock())
    assert quota.spend(account(MINUTE, client_id="a"), Cost(60)).allowed
    assert quota.spend(account(MINUTE, client_id="b"), Cost(60)).allowed


@settings(max_examples=40, deadline=None)
@given(account=accounts, trace=traces)
def test_redis_decides_as_this_process_does(
    redis_server: Store, account: Account, trace: Trace
) -> None:
    async def compare() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushall()
            clock = Clock()
            here, there = LocalQuota(clock), RedisQuota(redis, clock=clock)
            for pause, cost in trace:
                clock.now += pause
                if not fits_ever(account, cost):
                    continue
                expected = here.spend(account, cost)
                decided = await there.spend(account, cost)
                assert decided == expected
                if decided.allowed and cost.items == 2:
                    here.refund(account, expected.receipt, cost)
                    there.give_back(account, decided.receipt, cost)
                    await there.settled()

    asyncio.run(compare())


@settings(max_examples=30, deadline=None)
@given(quotas=policies, trace=traces, together=st.integers(2, 20))
def test_requests_that_share_a_call_are_decided_one_by_one(
    redis_server: Store, quotas: list[QuotaPolicy], trace: Trace, together: int
) -> None:
    async def compare() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushall()
            clock = Clock()
            here, there = LocalQuota(clock), RedisQuota(redis, clock=clock)
            # What a tenant has is counted for both of its clients.
            both = [account(*quotas, client_id="a"), account(*quotas, client_id="b")]
            for start in range(0, len(trace), together):
                clock.now += trace[start][0]
                group = [
                    (both[cost.items % 2], cost)
                    for _, cost in trace[start : start + together]
                    if fits_ever(both[0], cost)
                ]
                # Those of one account travel together, in the order of its first.
                order = list(dict.fromkeys(account for account, _ in group))
                group.sort(key=lambda each: order.index(each[0]))
                decided = await asyncio.gather(*(there.spend(*each) for each in group))
                assert decided == [here.spend(*each) for each in group]

    asyncio.run(compare())


async def test_counters_vanish_with_their_window(redis: Redis) -> None:
    await RedisQuota(redis).spend(account(MINUTE), ONE)
    (key,) = await redis.keys("*")
    assert 60_000 < await redis.pttl(key) <= 62_000


async def test_counter_does_not_grow(redis: Redis) -> None:
    clock = Clock()
    quota = RedisQuota(redis, clock=clock)
    sizes = set()
    for _ in range(200):
        clock.now += 1000
        await quota.spend(account(QuotaPolicy(1000, 60)), ONE)
        (key,) = await redis.keys("*")
        sizes.add(await redis.strlen(key))
    assert sizes == {32 + 4 * 61}
