"""The meter with Redis stalled, away and back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from gateway.domain import Client, ConcurrencyCap, QuotaPolicy, WhenAway
from gateway.quota_errors import QuotaExceeded, QuotaUnavailable
from gateway.quota_meter import QuotaMeter
from gateway.redis_quota import RedisQuota
from servicekit.redis_client import open_redis
from testkit.stores import Store, running_redis

from .quota_accounts import client_of

CLIENT = client_of(QuotaPolicy(10, 3600))
OPEN = client_of(QuotaPolicy(10, 3600, when_away=WhenAway.OPEN))
CLOSED = client_of(QuotaPolicy(10, 3600, when_away=WhenAway.CLOSED))
MakeMeter = Callable[[float], QuotaMeter]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A Redis of the test's own, which it breaks."""
    with running_redis(tmp_path, durable=False) as server:
        yield server


@pytest_asyncio.fixture
async def meter_before(store: Store) -> AsyncIterator[MakeMeter]:
    """Makes a meter, one of two replicas, that waits so many seconds for Redis."""
    async with AsyncExitStack() as stack:

        def make(timeout: float) -> QuotaMeter:
            redis = open_redis(store.url, timeout=timeout)
            stack.push_async_callback(redis.aclose)
            shared = RedisQuota(redis, timeout=timeout)
            meter = QuotaMeter(shared, replicas=2, retry_interval=0.05)
            stack.push_async_callback(meter.aclose)
            return meter

        yield make


async def count_admitted(meter: QuotaMeter, tries: int, client: Client = CLIENT) -> int:
    admitted = 0
    for _ in range(tries):
        try:
            meter.release(await meter.charge(client, 1))
            admitted += 1
        except QuotaExceeded:
            pass
    return admitted


async def test_away_leaves_the_local_share(store: Store, meter_before: MakeMeter) -> None:
    store.stop()
    assert await count_admitted(meter_before(0.02), 20) == 5


async def test_stalled_leaves_the_local_share_and_is_not_waited_for(
    store: Store, meter_before: MakeMeter
) -> None:
    meter = meter_before(0.2)
    charge = await meter.charge(CLIENT, 1)
    store.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(3):
            # Only the first three of these wait for Redis, 0.2 seconds each.
            assert await count_admitted(meter, 200) == 5
            meter.refund(charge)
    finally:
        store.send(signal.SIGCONT)


async def test_changes_of_state_are_logged_once(store: Store, meter_before: MakeMeter) -> None:
    meter = meter_before(5.0)
    with structlog.testing.capture_logs() as logs:
        store.stop()
        await count_admitted(meter, 20)
        assert meter.away
        store.start_ready()
        await meter.returned()
        await count_admitted(meter, 20)
    assert [entry["event"] for entry in logs if entry["event"].startswith("quota")] == [
        "quota_store_away",
        "quota_store_back",
    ]


async def test_what_was_admitted_meanwhile_counts_afterwards(
    store: Store, meter_before: MakeMeter
) -> None:
    meter, other = meter_before(5.0), meter_before(5.0)
    store.stop()
    assert await count_admitted(meter, 20) == 5
    store.start_ready()
    await meter.returned()
    # The restart lost the counters; the five are there again, for the other replica, too.
    assert await count_admitted(other, 20) == 5


async def test_what_is_open_passes_and_counts_afterwards(
    store: Store, meter_before: MakeMeter
) -> None:
    meter = meter_before(5.0)
    store.stop()
    assert await count_admitted(meter, 20, OPEN) == 20
    store.start_ready()
    await meter.returned()
    with pytest.raises(QuotaExceeded) as caught:
        await meter.charge(OPEN, 1)
    assert caught.value.states[0].remaining == -10


async def test_what_is_closed_is_refused(store: Store, meter_before: MakeMeter) -> None:
    store.stop()
    with pytest.raises(QuotaUnavailable) as caught:
        await meter_before(0.02).charge(CLOSED, 1)
    assert caught.value.retry_after == 1


async def test_restart_between_two_requests_is_not_felt(
    store: Store, meter_before: MakeMeter
) -> None:
    meter = meter_before(5.0)
    await asyncio.gather(*(meter.charge(CLIENT, 1) for _ in range(5)))
    store.kill()
    store.start_ready()
    charges = await asyncio.gather(*(meter.charge(CLIENT, 1) for _ in range(5)))
    assert not any(charge.local for charge in charges)


async def test_one_slow_answer_is_no_outage(store: Store, meter_before: MakeMeter) -> None:
    meter = meter_before(0.3)
    await meter.charge(CLIENT, 1)
    store.send(signal.SIGSTOP)
    try:
        assert (await meter.charge(CLIENT, 1)).local
    finally:
        store.send(signal.SIGCONT)
    assert not meter.away


async def test_batch_over_the_local_share_is_told_to_come_back(
    store: Store, meter_before: MakeMeter
) -> None:
    store.stop()
    with pytest.raises(QuotaUnavailable) as caught:
        await meter_before(0.02).charge(CLIENT, 6)
    assert caught.value.retry_after == 1


async def test_local_charge_is_refunded_locally(store: Store, meter_before: MakeMeter) -> None:
    store.stop()
    meter = meter_before(0.02)
    for _ in range(10):
        meter.refund(await meter.charge(CLIENT, 5))


async def test_cap_holds_to_the_local_share(store: Store, meter_before: MakeMeter) -> None:
    store.stop()
    meter = meter_before(0.02)
    client = client_of(QuotaPolicy(100, 60), caps=[ConcurrencyCap(4)])
    held = [await meter.charge(client, 1) for _ in range(2)]
    with pytest.raises(QuotaExceeded) as caught:
        await meter.charge(client, 1)
    assert caught.value.code == "CONCURRENCY_EXCEEDED"
    meter.release(held[0])
    await meter.charge(client, 1)


async def test_places_taken_while_away_are_held_in_redis_afterwards(
    store: Store, meter_before: MakeMeter
) -> None:
    meter, other = meter_before(5.0), meter_before(5.0)
    client = client_of(QuotaPolicy(100, 60), caps=[ConcurrencyCap(2)])
    store.stop()
    charge = await meter.charge(client, 1)
    await count_admitted(meter, 3, CLIENT)
    store.start_ready()
    await meter.returned()
    await other.charge(client, 1)
    with pytest.raises(QuotaExceeded):
        await other.charge(client, 1)
    meter.release(charge)
    await meter.aclose()
    # A third one, which remembers no denial.
    await meter_before(5.0).charge(client, 1)
