"""Caps on requests at the same time, refunds, tokens, and denials from memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.crc import key_slot

from gateway.denial_cache import LONGEST, DenialCache
from gateway.domain import ConcurrencyCap, CostUnit, QuotaPolicy, QuotaSubject
from gateway.quota_account import Cost, Decision, account_of
from gateway.quota_errors import QuotaExceeded
from gateway.quota_meter import QuotaMeter
from gateway.redis_quota import RedisQuota
from gateway.token_bound import most_tokens

from .quota_accounts import Clock, account, client_of

HOUR = QuotaPolicy(10, 3600)
TOKENS = QuotaPolicy(100, 3600, cost=CostUnit.TOKENS)
CAPPED = account(QuotaPolicy(1000, 60), caps=[ConcurrencyCap(2)])


@pytest_asyncio.fixture
async def meter(redis: Redis) -> AsyncIterator[QuotaMeter]:
    meter = QuotaMeter(RedisQuota(redis), replicas=1, retry_interval=0.5)
    yield meter
    await meter.aclose()


async def commands(redis: Redis) -> int:
    return int((await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))


async def test_no_more_than_the_cap_at_the_same_time(redis: Redis) -> None:
    quota = RedisQuota(redis)
    decided = await asyncio.gather(*(quota.spend(CAPPED, Cost(1), str(n)) for n in range(5)))
    assert [each.allowed for each in decided] == [True, True, False, False, False]
    assert decided[2].violated == CAPPED.caps
    quota.release(CAPPED, "0")
    assert (await quota.spend(CAPPED, Cost(1), "5")).allowed


async def test_request_without_a_place_is_not_charged(redis: Redis) -> None:
    quota = RedisQuota(redis)
    decided = [await quota.spend(CAPPED, Cost(1), str(n)) for n in range(5)]
    assert decided[-1].states[0].remaining == 998


async def test_places_of_a_killed_gateway_come_back(redis: Redis) -> None:
    clock = Clock()
    killed = RedisQuota(redis, lease=30, clock=clock)
    for lease in "ab":
        await killed.spend(CAPPED, Cost(1), lease)
    other = RedisQuota(redis, lease=30, clock=clock)
    clock.now += 29_999
    assert not (await other.spend(CAPPED, Cost(1), "c")).allowed
    clock.now += 1
    assert (await other.spend(CAPPED, Cost(1), "c")).allowed


async def test_renewed_place_is_held(redis: Redis) -> None:
    clock = Clock()
    quota = RedisQuota(redis, lease=30, clock=clock)
    for lease in "ab":
        await quota.spend(CAPPED, Cost(1), lease)
    clock.now += 29_000
    await quota.renew({"a": CAPPED, "gone": CAPPED})
    clock.now += 29_000
    decided = [await quota.spend(CAPPED, Cost(1), lease) for lease in "cd"]
    assert [each.allowed for each in decided] == [True, False]


async def test_clock_that_goes_back_locks_no_place_for_longer_than_a_lease(redis: Redis) -> None:
    clock = Clock()
    quota = RedisQuota(redis, lease=30, clock=clock)
    for lease in "ab":
        await quota.spend(CAPPED, Cost(1), lease)
    clock.now -= 86_400_000
    assert not (await quota.spend(CAPPED, Cost(1), "c")).allowed
    clock.now += 30_000
    assert (await quota.spend(CAPPED, Cost(1), "c")).allowed


def test_keys_of_one_request_share_a_slot() -> None:
    found = account_of(
        client_of(
            *(QuotaPolicy(5, 60, subject) for subject in QuotaSubject),
            TOKENS,
            key_id="k",
            caps=[ConcurrencyCap(2, subject) for subject in QuotaSubject],
        )
    )
    keys = found.policy_keys + found.cap_keys
    assert len(set(keys)) == 7
    assert len({key_slot(key.encode()) for key in keys}) == 1


def test_key_policies_of_a_caller_without_a_key_are_its_clients() -> None:
    strict, lenient = QuotaPolicy(5, 60, QuotaSubject.KEY), QuotaPolicy(9, 60)
    assert account(strict, lenient).policies == (QuotaPolicy(5, 60),)


async def test_keys_of_a_client_have_a_quota_each(meter: QuotaMeter) -> None:
    policy = QuotaPolicy(1, 60, QuotaSubject.KEY)
    await meter.charge(client_of(policy, key_id="k1"), 1)
    await meter.charge(client_of(policy, key_id="k2"), 1)
    with pytest.raises(QuotaExceeded):
        await meter.charge(client_of(policy, key_id="k1"), 1)


async def test_clients_of_a_tenant_share_its_quota(meter: QuotaMeter) -> None:
    policy = QuotaPolicy(1, 60, QuotaSubject.TENANT)
    await meter.charge(client_of(policy, client_id="a"), 1)
    with pytest.raises(QuotaExceeded) as caught:
        await meter.charge(client_of(policy, client_id="b"), 1)
    assert [each.name for each in caught.value.violated] == ["tenant-minute"]


async def test_tokens_are_charged_at_most_and_settled_to_what_was_used(meter: QuotaMeter) -> None:
    client = client_of(HOUR, TOKENS)
    charge = await meter.charge(client, 1, 90)
    with pytest.raises(QuotaExceeded):
        await meter.charge(client, 1, 20)
    meter.settle(charge, 7)
    states = (await meter.charge(client, 1, 20)).states
    assert [state.remaining for state in states] == [8, 73]


async def test_refund_comes_back_once(meter: QuotaMeter) -> None:
    client = client_of(HOUR)
    await meter.charge(client, 5)
    charge = await meter.charge(client, 3)
    for _ in range(3):
        meter.refund(charge)
    assert (await meter.charge(client, 1)).states[0].remaining == 4


async def test_giving_back_makes_no_call_of_its_own(meter: QuotaMeter, redis: Redis) -> None:
    client = client_of(HOUR)
    charges = [await meter.charge(client, 1) for _ in range(3)]
    before = await commands(redis)
    for charge in charges:
        meter.refund(charge)
    await meter.charge(client, 1)
    # One script for all that is given back, one for the charge, in one round trip.
    assert await commands(redis) == before + 2


async def test_flood_of_denied_requests_costs_redis_nothing(
    meter: QuotaMeter, redis: Redis
) -> None:
    client = client_of(HOUR)
    await meter.charge(client, 10)
    with pytest.raises(QuotaExceeded):
        await meter.charge(client, 1)
    before = await commands(redis)
    for _ in range(100):
        with pytest.raises(QuotaExceeded) as caught:
            await meter.charge(client, 1)
    assert caught.value.states[0].remaining == 0
    # A busy machine may need more than half a second for a hundred.
    assert await commands(redis) - before <= 3


async def test_what_comes_back_here_passes_at_once(meter: QuotaMeter) -> None:
    client = client_of(HOUR)
    charge = await meter.charge(client, 10)
    with pytest.raises(QuotaExceeded):
        await meter.charge(client, 1)
    meter.refund(charge)
    await meter.charge(client, 1)


async def test_cancelled_request_costs_nothing_and_holds_no_place(
    meter: QuotaMeter, redis: Redis
) -> None:
    client = client_of(HOUR, caps=[ConcurrencyCap(1)])
    asking = asyncio.create_task(meter.charge(client, 4))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    await meter.aclose()
    assert [state.remaining for state in (await meter.charge(client, 1)).states] == [9, 0]


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_denial_is_remembered_until_it_could_pass_and_half_a_second_at_most(
    redis: Redis,
) -> None:
    seconds = Seconds()
    cache = DenialCache(seconds)
    quota = RedisQuota(redis)
    one = account(QuotaPolicy(1, 3600))
    cache.remember(one, Cost(1), await quota.spend(one, Cost(1)))
    assert cache.find(one, Cost(1)) is None
    cache.remember(one, Cost(1), await quota.spend(one, Cost(1)))
    first = cache.find(one, Cost(1))
    seconds.now += LONGEST - 0.1
    later = cache.find(one, Cost(1))
    assert first is not None
    assert later is not None
    assert first.wait - later.wait == pytest.approx(LONGEST - 0.1)
    assert first.states[0].changes_in - later.states[0].changes_in == pytest.approx(LONGEST - 0.1)
    seconds.now += 0.1
    assert cache.find(one, Cost(1)) is None
    short = Decision(False, (), one.policies, wait=0.2)
    cache.remember(one, Cost(2), short)
    assert cache.find(one, Cost(1)) is None, "a smaller one may fit"
    assert cache.find(one, Cost(3)) is not None
    seconds.now += 0.2
    assert cache.find(one, Cost(3)) is None


@pytest.mark.parametrize(
    ("text", "most"), [("", 2), ("a" * 5, 7), ("é" * 5, 12), ("a" * 300, 256), ("한" * 100, 256)]
)
def test_bound_on_tokens_holds_for_bytes_and_for_the_model(text: str, most: int) -> None:
    assert most_tokens([text], 256) == most
    assert most_tokens([text, text], 256) == 2 * most
