"""Which replica does which job: each is leased to one of them at a time.

A lease is a key in the events Redis that expires. Its holder renews it well before; one that dies
or hangs is replaced when it has expired and somebody looks again: after four thirds of its length
at most. Who takes a lease writes its name into a second key, the fence, which does not expire and
which nothing else writes. Whoever stores under a lease watches the fence in the transaction that
stores, so a holder that hung for a while and wakes up can do no harm. Jobs are spread evenly over
the replicas that announce themselves.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from servicekit.lifecycle import cancellation_was_dropped

_log = structlog.get_logger(__name__)

HELD = Gauge("weir_drift_lease_held", "1 where this replica does the job, else 0.", ["job"])

_REPLICAS = "weir:drift:replicas"
_ROUNDS = 3
"""Looks in the length of a lease."""
_ANNOUNCE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""
_TAKE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return 1
"""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do a job, as long as the fence holds the token."""

    fence: str
    """A key; renewing the lease does not touch it, so that transactions can watch it."""
    token: str


Work = Callable[[Lease], Coroutine[Any, Any, None]]


class LeaseKeeper:
    """Holds leases of jobs, its share of them, and runs what they are for.

    Args:
        jobs: by name, what to run while the lease is held; it goes on until it is cancelled.
        holder: this replica's name; no other process has it.
        seconds: length of a lease.
    """

    def __init__(
        self, redis: Redis, jobs: Mapping[str, Work], *, holder: str, seconds: float
    ) -> None:
        self._redis = redis
        self._jobs = jobs
        self._holder = holder
        self._seconds = seconds
        self._running: dict[str, asyncio.Task[None]] = {}
        self._renewed: dict[str, float] = {}

    async def run(self) -> None:
        """Looks again and again until it is cancelled; then gives back what it holds.

        A job that ends by itself ends this, with what it raised.
        """
        for job in self._jobs:
            HELD.labels(job).set(0)
        try:
            while not cancellation_was_dropped():
                try:
                    await self._look()
                except (RedisError, OSError):
                    # The health check says so. What has not been renewed in time is dropped.
                    await self._drop_expired()
                await self._pause()
        finally:
            for job in list(self._running):
                await self._give_back(job)
            with suppress(RedisError, OSError):
                await self._redis.zrem(_REPLICAS, self._holder)

    async def _look(self) -> None:
        milliseconds = int(self._seconds * 1000)
        announced: Any = self._redis.eval(_ANNOUNCE, 1, _REPLICAS, self._holder, str(milliseconds))
        share = -(-len(self._jobs) // max(1, int(await announced)))
        for job in list(self._running):
            asked = self._now()
            renewed: Any = self._redis.eval(_RENEW, 1, _key(job), self._holder, str(milliseconds))
            if await renewed:
                self._renewed[job] = asked
            else:
                await self._stop(job, "lease_lost")
        for job in list(self._running)[share:]:
            await self._give_back(job)
        for job in self._jobs.keys() - self._running.keys():
            if len(self._running) >= share:
                break
            lease = Lease(f"weir:drift:fence:{job}", self._holder)
            asked = self._now()
            taken: Any = self._redis.eval(
                _TAKE, 2, _key(job), lease.fence, lease.token, str(milliseconds)
            )
            if await taken:
                self._renewed[job] = asked
                self._running[job] = asyncio.create_task(self._jobs[job](lease))
                HELD.labels(job).set(1)
                _log.info("lease_taken", job=job)

    async def _pause(self) -> None:
        """Until the next look; a job that ends by itself is told at once."""
        if not self._running:
            await asyncio.sleep(self._seconds / _ROUNDS)
            return
        ended, _ = await asyncio.wait(
            self._running.values(),
            timeout=self._seconds / _ROUNDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in ended:
            task.result()
            raise RuntimeError("a job ended by itself")

    async def _drop_expired(self) -> None:
        for job in list(self._running):
            if self._now() - self._renewed[job] >= self._seconds:
                await self._stop(job, "lease_expired")

    async def _give_back(self, job: str) -> None:
        await self._stop(job, "lease_given_back")
        with suppress(RedisError, OSError):
            released: Any = self._redis.eval(_RELEASE, 1, _key(job), self._holder)
            await released

    async def _stop(self, job: str, event: str) -> None:
        task = self._running.pop(job)
        while not task.done():
            # Once is not enough: see servicekit.lifecycle.
            task.cancel()
            await asyncio.wait([task], timeout=1.0)
        HELD.labels(job).set(0)
        _log.info(event, job=job)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _key(job: str) -> str:
    return f"weir:drift:lease:{job}"
