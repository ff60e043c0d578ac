"""Replicas share jobs: each is done by one of them at a time, and a dead one is replaced."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from drift.leases import Lease, LeaseKeeper
from drift.state_transaction import LeaseLost
from testkit.waiting import until

SECONDS = 2.0
MakeReplica = Callable[..., "Replica"]
JOBS = ("a", "b", "c", "d")


class Replica:
    """Notes which jobs it does; `freeze` stops it from renewing without its noticing."""

    def __init__(self, redis: Redis, name: str, jobs: tuple[str, ...] = JOBS) -> None:
        self.doing: dict[str, Lease] = {}
        self.keeper = LeaseKeeper(
            redis, {job: self.work(job) for job in jobs}, holder=name, seconds=SECONDS
        )
        self.task = asyncio.create_task(self.keeper.run())

    def work(self, job: str) -> Callable[[Lease], Any]:
        async def do(lease: Lease) -> None:
            self.doing[job] = lease
            try:
                await asyncio.Event().wait()
            finally:
                del self.doing[job]

        return do

    async def stop(self) -> None:
        while not self.task.done():
            # Once is not enough: see servicekit.lifecycle.
            self.task.cancel()
            await asyncio.wait([self.task], timeout=1.0)


@pytest_asyncio.fixture
async def replica(redis: Redis) -> AsyncIterator[MakeReplica]:
    made: list[Replica] = []

    def make(name: str, client: Redis | None = None) -> Replica:
        made.append(Replica(client or redis, name))
        return made[-1]

    yield make
    for each in made:
        await each.stop()


async def test_one_replica_does_everything(replica: MakeReplica) -> None:
    alone = replica("one")
    await until(lambda: set(alone.doing) == set(JOBS))


async def test_two_replicas_share_and_no_job_is_done_twice(
    replica: MakeReplica,
) -> None:
    first, second = replica("one"), replica("two")
    await until(lambda: len(first.doing) == len(second.doing) == 2)
    assert set(first.doing) | set(second.doing) == set(JOBS)


async def test_replica_that_stops_hands_its_jobs_over_at_once(
    replica: MakeReplica,
) -> None:
    first, second = replica("one"), replica("two")
    await until(lambda: len(first.doing) == len(second.doing) == 2)
    await first.stop()
    await until(lambda: set(second.doing) == set(JOBS))


async def test_lease_that_another_took_ends_the_job_and_fences_its_stores(
    replica: MakeReplica, redis: Redis, service: Any
) -> None:
    first = replica("one")
    await until(lambda: set(first.doing) == set(JOBS))
    lease = first.doing["a"]
    async with service.store.transaction(lease) as transaction:
        await transaction.store("s", "1-0", {}, {}, [])
    # As another would that found it expired.
    await redis.set("weir:drift:lease:a", "two", px=60_000)
    await redis.set(lease.fence, "two")
    with pytest.raises(LeaseLost):
        async with service.store.transaction(lease):
            pass
    await until(lambda: "a" not in first.doing)
    assert await redis.get("weir:drift:lease:a") == b"two"


async def test_renewal_in_the_middle_of_a_store_does_not_disturb_it(
    replica: MakeReplica, redis: Redis, service: Any
) -> None:
    only = replica("one")
    await until(lambda: set(only.doing) == set(JOBS))
    async with service.store.transaction(only.doing["a"]) as transaction:
        seen = [await redis.pttl("weir:drift:lease:a")]

        async def is_renewed() -> bool:
            seen.append(await redis.pttl("weir:drift:lease:a"))
            return seen[-1] > seen[-2]

        await until(is_renewed, 30)
        await transaction.store("s", "1-0", {}, {}, [])
    async with service.store.transaction() as transaction:
        assert await transaction.position("s") == "1-0"


async def test_lease_that_is_lost_in_the_middle_stores_nothing(redis: Redis, service: Any) -> None:
    lease = Lease("weir:drift:fence:a", "one")
    await redis.set(lease.fence, lease.token)

    async def store() -> None:
        async with service.store.transaction(lease) as transaction:
            await redis.set(lease.fence, "two")
            await transaction.store("s", "1-0", {}, {}, [])

    with pytest.raises(Exception, match="stored first"):
        await store()
    async with service.store.transaction() as transaction:
        assert await transaction.position("s") == "0-0"


async def test_job_that_fails_is_told(redis: Redis) -> None:
    async def fail(lease: Lease) -> None:
        raise ValueError("broken")

    keeper = LeaseKeeper(redis, {"a": fail}, holder="one", seconds=SECONDS)
    with pytest.raises(ValueError, match="broken"):
        await keeper.run()
    assert await redis.get("weir:drift:lease:a") is None


async def test_redis_that_is_away_ends_the_jobs_when_their_leases_expire(
    replica: MakeReplica, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = replica("one")
    await until(lambda: set(only.doing) == set(JOBS))

    def away(*_: object) -> Awaitable[None]:
        raise ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(redis, "eval", away)
        await until(lambda: not only.doing)
    await until(lambda: set(only.doing) == set(JOBS))
