"""A Redis Cluster of three nodes counts as one Redis does: all keys of a request lie together."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import ClusterCrossSlotError

from gateway.domain import ConcurrencyCap, CostUnit, QuotaPolicy, QuotaSubject
from gateway.local_quota import Admitted
from gateway.quota_account import Account, Cost, account_of
from gateway.redis_quota import RedisQuota
from testkit.stores import Store
from testkit.waiting import until
from weir_local.embedded_redis import redis_process
from weir_local.process import ManagedProcess

from .quota_accounts import client_of

SLOTS = [range(5500), range(5500, 11_000), range(11_000, 16_384)]
"""Of each node."""
BUS = 10_000
"""A node's port for the others is its own plus this."""


def ports() -> Iterator[int]:
    """Ports that are free, with those for the bus."""
    for port in range(21_000, 50_000, 7):
        with ExitStack() as stack:
            try:
                for each in (port, port + BUS):
                    taken = stack.enter_context(socket.socket())
                    taken.bind(("127.0.0.1", each))
            except OSError:
                continue
        yield port


@contextmanager
def node(port: int, directory: Path) -> Iterator[Store]:
    spec = redis_process(
        "redis", directory / "data", directory / "s", directory / "redis.log", durable=False
    )
    options = ("--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes")
    process = ManagedProcess(replace(spec, command=[*spec.command, *options]))
    store = Store(process, f"redis://127.0.0.1:{port}")
    store.start_ready()
    try:
        yield store
    finally:
        store.stop()


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[Redis]]:
    """Connections to the nodes, each of which owns a third of the slots."""
    free = ports()
    with ExitStack() as running:
        used = [next(free) for _ in SLOTS]
        for port in used:
            running.enter_context(node(port, tmp_path / str(port)))
        nodes = [Redis(port=port) for port in used]
        for redis, slots in zip(nodes, SLOTS, strict=True):
            await redis.execute_command("CLUSTER ADDSLOTS", *slots)
        for port in used[1:]:
            await nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", port)

        async def agreed() -> bool:
            told = [await redis.execute_command("CLUSTER INFO") for redis in nodes]
            return all(each["cluster_state"] == "ok" for each in told)

        await until(agreed, 60)
        yield nodes
        await asyncio.gather(*(redis.aclose() for redis in nodes))


def account(tenant: str) -> Account:
    """With all that a request can be held to: policies of three subjects, two costs, and caps."""
    client = client_of(
        QuotaPolicy(10, 3600, QuotaSubject.KEY),
        QuotaPolicy(20, 3600, QuotaSubject.CLIENT),
        QuotaPolicy(500, 86_400, QuotaSubject.TENANT, CostUnit.TOKENS),
        key_id="0123456789ab",
        caps=[ConcurrencyCap(4, QuotaSubject.CLIENT), ConcurrencyCap(8, QuotaSubject.TENANT)],
    )
    return account_of(replace(client, tenant=tenant))


async def owner(cluster: list[Redis], account: Account) -> Redis:
    """The node that has the slot of all keys of the account."""
    keys = (*account.policy_keys, *account.cap_keys)
    slots = {int(await cluster[0].execute_command("CLUSTER KEYSLOT", key)) for key in keys}
    (slot,) = slots
    return next(redis for redis, its in zip(cluster, SLOTS, strict=True) if slot in its)


async def test_each_node_decides_whole_requests_of_its_tenants(cluster: list[Redis]) -> None:
    served: set[int] = set()
    for number in range(12):
        counted = account(f"tenant-{number}")
        redis = await owner(cluster, counted)
        served.add(cluster.index(redis))
        quota = RedisQuota(redis)
        decided = [await quota.spend(counted, Cost(4, 20), f"lease-{n}") for n in range(3)]
        assert [each.allowed for each in decided] == [True, True, False]
        quota.give_back(counted, decided[0].receipt, Cost(4, 20))
        quota.release(counted, "lease-0")
        await quota.renew({"lease-1": counted})
        # Beside the others in the same slot, as when the gateway counted by itself for a while.
        await quota.record([Admitted(counted.policy_keys[0], 3_600_000, 0, 0, 1)])
        await quota.settled()
        assert (await quota.spend(counted, Cost(4, 20), "lease-3")).allowed
    assert served == {0, 1, 2}


async def test_keys_of_two_tenants_are_not_decided_in_one_call(cluster: list[Redis]) -> None:
    """What the hash tag is for: without it the cluster refuses."""
    one, other = account("tenant-0"), account("tenant-1")
    keys = [one.policy_keys[0], other.policy_keys[0]]
    slots = [await cluster[0].execute_command("CLUSTER KEYSLOT", key) for key in keys]
    assert slots[0] != slots[1]
    with pytest.raises(ClusterCrossSlotError):
        await cluster[0].eval("return 1", 2, *keys)
