"""What Redis pays for decisions on quotas: `make bench BENCH=quota`.

A Redis of its own, and one client that sends what the gateway's adapter sends, with all 61 buckets
of every window full. What counts is the CPU time that Redis itself reports, system calls included:
with one request a call, as when the gateway is idle, and with calls that come as a pipeline, as
when many gateways ask at the same time. `ARGS="--calls 20000"` measures longer.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from gateway.domain import Client, ConcurrencyCap, CostUnit, QuotaPolicy, QuotaSubject
from gateway.quota_account import Account, Cost, account_of
from gateway.quota_scripts import SPEND
from gateway.redis_quota import RedisQuota
from testkit.stores import running_redis

GOAL = 10_000
"""Decisions a second of one Redis core."""
_PLENTY = 1_000_000_000
_POLICIES = (
    QuotaPolicy(_PLENTY, 60),
    QuotaPolicy(_PLENTY, 3600),
    QuotaPolicy(_PLENTY, 86_400, QuotaSubject.TENANT, CostUnit.TOKENS),
)


@dataclass(frozen=True)
class Result:
    """Of one kind of account and one way to call."""

    account: str
    together: int
    microseconds: float
    """Redis's CPU time for one decision, median of the rounds."""
    decisions: int
    """A second of one core that does nothing else."""
    adapter_microseconds: float
    """Time of the gateway's own for one decision, waiting included."""


def account(policies: int, caps: int = 0) -> Account:
    """One of so many policies and caps."""
    client = Client("c", "t", (), frozenset(), _POLICIES[:policies])
    held = (ConcurrencyCap(_PLENTY),) * caps
    return account_of(
        Client(client.client_id, client.tenant, (), frozenset(), client.quotas, concurrency=held)
    )


async def cpu_seconds(redis: Redis) -> float:
    """That Redis has used."""
    found = await redis.info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


async def fill(redis: Redis, measured: Account) -> None:
    """Spends in each bucket of the longest window that has passed, and of all shorter ones."""
    now = int(time.time() * 1000)
    moments = {
        now - bucket * policy.window * 1000 // 60
        for policy in measured.policies
        for bucket in range(61)
    }
    for moment in sorted(moments):
        await RedisQuota(redis, clock=partial(int, moment)).spend(measured, Cost(1, 20))


async def measure(redis: Redis, name: str, measured: Account, together: int, calls: int) -> Result:
    """Some rounds of calls."""
    await redis.flushall()
    await fill(redis, measured)
    keys = measured.policy_keys + measured.cap_keys
    bounds: list[int] = [
        each
        for policy in measured.policies
        for each in (policy.limit, policy.window * 1000, 1 if policy.cost == "items" else 2)
    ]
    fixed: list[str | int] = [
        "",
        len(measured.policies),
        30_000,
        *bounds,
        *(cap.limit for cap in measured.caps),
    ]
    spent, took = [], []
    for _ in range(5):
        before, started = await cpu_seconds(redis), time.perf_counter()
        for start in range(0, calls // 5, together):
            async with redis.pipeline(transaction=False) as pipeline:
                for number in range(together):
                    lease = f"gateway:{(start + number) % 50}"
                    pipeline.evalsha(SPEND.sha, len(keys), *keys, *fixed, 1, 20, lease)
                await pipeline.execute()
        took.append((time.perf_counter() - started) / (calls // 5))
        spent.append((await cpu_seconds(redis) - before) / (calls // 5))
    cost = median(spent)
    return Result(name, together, round(cost * 1e6, 1), round(1 / cost), round(median(took) * 1e6))


async def run(calls: int) -> list[Result]:
    """All measurements."""
    kinds = {
        "1 policy": account(1),
        "3 policies": account(3),
        "3 policies, 1 cap": account(3, caps=1),
    }
    with (
        tempfile.TemporaryDirectory() as directory,
        running_redis(Path(directory), durable=False) as server,
    ):
        async with Redis.from_url(server.url) as redis:
            return [
                await measure(redis, name, measured, together, calls)
                for together in (1, 50)
                for name, measured in kinds.items()
            ]


def main() -> int:
    """Measures, prints, and fails below the goal: pipelined, as load is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the results there as well")
    arguments = parser.parse_args()
    results = asyncio.run(run(arguments.calls))
    table = Table("account", "calls together", "Redis CPU, µs", "decisions/s of a core", "took, µs")
    for each in results:
        table.add_row(*(str(value) for value in asdict(each).values()))
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in results], indent=2))
    busy = [each for each in results if each.together > 1 and "cap" not in each.account]
    return 0 if all(each.decisions >= GOAL for each in busy) else 1


if __name__ == "__main__":
    sys.exit(main())
