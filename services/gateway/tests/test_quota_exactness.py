"""Never more than the limit: many processes, scripts forgotten, a failover, clocks that go back."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.domain import QuotaPolicy
from gateway.quota_account import Account, Cost
from gateway.redis_quota import RedisQuota
from testkit.platform import free_port
from testkit.stores import Store
from weir_local.embedded_redis import redis_process
from weir_local.process import ManagedProcess

from .quota_accounts import Clock, account, accounts, fits_ever, traces, worst_window

LIMIT, PROCESSES, CALLS = 500, 4, 2000
DAY = account(QuotaPolicy(LIMIT, 86_400))
GATEWAY = """
import asyncio, sys, time
from redis.asyncio import Redis
from gateway.domain import (Client, QuotaPolicy)
from gateway.quota_account import Cost, account_of
from gateway.redis_quota import RedisQuota

async def spend(url, calls, clock):
    day = account_of(Client("c", "t", (), frozenset(), (QuotaPolicy(int(sys.argv[1]), 86_400),)))
    admitted = 0
    async with Redis.from_url(url) as redis:
        quota = RedisQuota(redis, timeout=60, clock=clock)
        for start in range(0, calls, 50):
            decided = await asyncio.gather(*(quota.spend(day, Cost(1)) for _ in range(50)))
            admitted += sum(each.allowed for each in decided)
    return admitted

print("ready", flush=True)
for line in sys.stdin:
    url, calls, *step = line.split()
    clock = (lambda: int((time.time() + int(step[0])) * 1000)) if step else None
    print(asyncio.run(spend(url, int(calls), clock)), flush=True)
"""


@asynccontextmanager
async def gateways() -> AsyncIterator[Callable[[str], Awaitable[int]]]:
    """Processes that spend; gives what tells all of them what to do, and sums what they admitted.

    What to do: Redis's URL, how many calls, and how far its clock has stepped, seconds.
    """
    running = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", GATEWAY, str(LIMIT)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]

    async def told(gateway: asyncio.subprocess.Process, what: str) -> bytes:
        assert gateway.stdin is not None
        assert gateway.stdout is not None
        gateway.stdin.write(f"{what}\n".encode() if what else b"")
        return await gateway.stdout.readline()

    async def tell(what: str) -> int:
        return sum(map(int, await asyncio.gather(*(told(each, what) for each in running))))

    for gateway in running:
        assert await told(gateway, "") == b"ready\n"
    yield tell
    for gateway in running:
        await gateway.communicate(b"")


@asynccontextmanager
async def forgetting(redis: Redis) -> AsyncIterator[None]:
    """A Redis that forgets its scripts again and again."""

    async def forget() -> None:
        while not over.is_set():
            await redis.script_flush()
            # Not after every decision: they have to get on as well.
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.02)

    over = asyncio.Event()
    running = asyncio.create_task(forget())
    yield
    over.set()
    await running


async def test_many_processes_admit_exactly_the_limit_though_scripts_are_forgotten(
    redis: Redis, redis_server: Store
) -> None:
    async with gateways() as tell, forgetting(redis):
        assert await tell(f"{redis_server.url} {CALLS}") == LIMIT


@contextmanager
def running_redis_on(port: int, directory: Path) -> Iterator[Store]:
    """A Redis that others reach: replicas know their primary by host and port."""
    spec = redis_process(
        "redis",
        directory / "data",
        directory / "redis.sock",
        directory / "redis.log",
        durable=False,
    )
    # The last of two settings counts. Empty streams of changes are sent at once, not after 5 s.
    listening = ("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
    process = ManagedProcess(replace(spec, command=[*spec.command, *listening]))
    store = Store(process, f"redis://127.0.0.1:{port}")
    store.start_ready()
    try:
        yield store
    finally:
        store.stop()


async def test_forgotten_scripts_a_failover_and_a_clock_that_steps_admit_exactly_the_limit(
    tmp_path: Path,
) -> None:
    """4 × 2000 calls in all, which find a day's quota of 500."""
    with (
        running_redis_on(free_port(), tmp_path / "primary") as primary,
        running_redis_on(free_port(), tmp_path / "replica") as replica,
    ):
        before, after = Redis.from_url(primary.url), Redis.from_url(replica.url)
        async with before, after, gateways() as tell:
            await after.replicaof("127.0.0.1", primary.url.rpartition(":")[2])
            async with forgetting(before):
                admitted = [await tell(f"{primary.url} 50"), await tell(f"{primary.url} 50 -3600")]
            # Nothing is behind: what a promotion loses is what had not been replicated.
            async with asyncio.timeout(60):
                while not await before.execute_command("WAIT", 1, 500):
                    pass
            await after.replicaof("NO", "ONE")
            async with forgetting(after):
                admitted += [
                    await tell(f"{replica.url} {calls} {step}")
                    for calls, step in ((0, 0), (50, 7200), (900, -7200), (950, 60))
                ]
    assert admitted[:2] == [200, 200]
    assert sum(admitted) == LIMIT


backward_traces = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 50), st.integers(0, 5000), st.integers(0, 100_000)),
        # How far Redis's clock is set back before the request.
        st.one_of(st.just(0), st.just(0), st.integers(0, 100_000), st.integers(0, 10**8)),
        st.builds(Cost, st.integers(1, 5), st.integers(0, 9)),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(account=accounts, trace=backward_traces)
def test_clock_that_goes_back_admits_no_more_and_locks_nobody_out(
    redis_server: Store, account: Account, trace: list[tuple[int, int, Cost]]
) -> None:
    async def run() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushall()
            clock = Clock()
            quota = RedisQuota(redis, clock=clock)
            now, admitted = 0, []
            for pause, back, cost in trace:
                now += pause
                clock.now += pause - back
                if not fits_ever(account, cost):
                    continue
                decision = await quota.spend(account, cost)
                for state, policy in zip(decision.states, account.policies, strict=True):
                    assert 0 <= state.remaining <= policy.limit
                if decision.allowed:
                    admitted.append((now, cost))
            for policy in account.policies:
                spent = [(at, cost.of(policy)) for at, cost in admitted]
                assert worst_window(spent, policy.window * 1000 + 1) <= policy.limit
            # Whatever the clock did: it is known by now, and a window and a sixtieth is enough.
            await quota.spend(account, Cost(1))
            clock.now += max(policy.window for policy in account.policies) * 1017 + 1000
            assert (await quota.spend(account, Cost(1))).allowed

    asyncio.run(run())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    account=accounts, trace=traces, skews=st.tuples(st.integers(0, 60_000), st.integers(0, 60_000))
)
def test_failover_between_clocks_that_differ_admits_no_more(
    redis_server: Store, account: Account, trace: list[tuple[int, Cost]], skews: tuple[int, int]
) -> None:
    """The first of the two clocks is ahead: the other's time is one that went back."""

    async def run() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushall()
            clock = Clock()
            quota = RedisQuota(redis, clock=clock)
            now, admitted = 0, []
            for number, (pause, cost) in enumerate(trace):
                now += pause
                clock.now += pause
                if number == len(trace) // 2:
                    clock.now -= sum(skews)
                if fits_ever(account, cost) and (await quota.spend(account, cost)).allowed:
                    admitted.append((now, cost))
            for policy in account.policies:
                spent = [(at, cost.of(policy)) for at, cost in admitted]
                assert worst_window(spent, policy.window * 1000 + 1) <= policy.limit

    asyncio.run(run())
