"""Clients from a file and from Redis, while both change, break and go away."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from redis.asyncio import Redis

from gateway.declared_clients import DeclaredClients
from gateway.domain import QuotaPolicy
from gateway.identity_directory import IdentityDirectory, IdentityStale
from gateway.identity_records import ClientRecord, KeptSecret
from gateway.identity_store import Change, IdentityStore, IdentityStoreUnavailable
from gateway.key_usage import KeyUsage
from gateway.secret_hashes import hash_secret
from servicekit.redis_client import open_redis
from testkit.stores import running_redis
from testkit.waiting import until
from weir.events.v1 import events_pb2

from .conftest import PEPPER

NEW_PEPPER = bytes(range(100, 132))
DEFAULTS = (QuotaPolicy(60, 60),)
ENTRY: dict[str, Any] = {
    "client_id": "shop",
    "tenant": "acme",
    "secret_hashes": [hash_secret(PEPPER, "s")],
    "scopes": ["models:read"],
}


class Sources:
    """The files and the store of a gateway's clients."""

    def __init__(self, directory: Path) -> None:
        self.clients_file = directory / "clients.yaml"
        self.pepper_file = directory / "pepper"
        self.write(ENTRY)
        self.pepper_file.write_text(PEPPER.hex())

    def write(self, *clients: dict[str, Any]) -> None:
        fresh = self.clients_file.with_suffix(".new")
        fresh.write_text(yaml.safe_dump({"clients": list(clients)}))
        fresh.replace(self.clients_file)

    @asynccontextmanager
    async def followed(self, url: str) -> AsyncIterator[tuple[IdentityDirectory, IdentityStore]]:
        redis = open_redis(url, timeout=2.0)
        store = IdentityStore(redis, revocations="weir:revocations")
        declared = DeclaredClients(self.clients_file, self.pepper_file)
        directory = IdentityDirectory(declared, store, DEFAULTS)
        try:
            async with directory.followed():
                yield directory, store
        finally:
            await redis.aclose()


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def stored(client_id: str, **fields: Any) -> ClientRecord:
    secret = KeptSecret(number=1, hash=hash_secret(PEPPER, "s"), created_at=datetime.now(UTC))
    record = {
        "client_id": client_id,
        "uid": "u",
        "tenant": "acme",
        "secrets": (secret,),
        "scopes": ("models:read",),
        "revision": 1,
    }
    return ClientRecord(**record | fields)


def knows(directory: IdentityDirectory, client_id: str) -> Callable[[], bool]:
    return lambda: directory.registry.find(client_id) is not None


def forgets(directory: IdentityDirectory, client_id: str) -> Callable[[], bool]:
    return lambda: directory.registry.find(client_id) is None


async def test_change_is_known_to_every_gateway_within_a_second(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    async with (
        sources.followed(redis_server.url) as (_, store),
        sources.followed(redis_server.url) as (other, _),
    ):
        record = stored("new")
        started = time.monotonic()
        assert await store.commit(Change(None, record))
        await until(knows(other, "new"))
        assert other.registry.authenticate("new", "s")
        assert await store.commit(Change(record, None))
        await until(forgets(other, "new"))
        assert time.monotonic() - started < 5  # two changes; a busy machine has its own pace


async def test_change_of_what_is_not_there_any_more_is_refused_whole(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    async with sources.followed(redis_server.url) as (_, store):
        record = stored("a")
        assert await store.commit(Change(None, record))
        assert not await store.commit(Change(None, record))
        newer = record.model_copy(update={"revision": 2})
        assert await store.commit(Change(record, newer))
        assert not await store.commit(Change(record, None), Change(None, stored("b")))
        reborn = record.model_copy(update={"revision": 2, "uid": "another"})
        assert not await store.commit(Change(reborn, None))
        assert set((await store.load()).clients) == {"a"}
        assert await redis.get("weir:identity:revision") == b"2"


async def test_file_is_followed_and_a_broken_one_changes_nothing(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with sources.followed(redis_server.url) as (directory, _):
            sources.write(ENTRY, ENTRY | {"client_id": "second"})
            await until(knows(directory, "second"))
            sources.clients_file.write_text("clients: [")
            await until(lambda: directory.declared.broken)
            with pytest.raises(IdentityStale):
                await directory.check()
            await directory.follow_file()
            await directory.follow_file()
            assert directory.registry.find("second")
            sources.write(ENTRY)
            await until(forgets(directory, "second"))
            await directory.check()
    assert [entry["event"] for entry in logs].count("clients_file_broken") == 1


async def test_client_that_the_file_loses_loses_its_tokens(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    second = ENTRY | {"client_id": "second"}
    third = ENTRY | {"client_id": "third", "secret_hashes": [hash_secret(PEPPER, "old")]}
    sources.write(ENTRY, second, third)
    async with sources.followed(redis_server.url):
        both = {"secret_hashes": [*third["secret_hashes"], hash_secret(PEPPER, "new")]}
        sources.write(ENTRY | {"disabled": True}, third | both)

        async def told() -> bool:
            return await redis.xlen("weir:revocations") == 2

        await until(told)
    entries: Any = await redis.xrange("weir:revocations")
    events = [events_pb2.TokensRevoked.FromString(entry[b"data"]) for _, entry in entries]
    assert [event.client_id for event in events] == ["second", "shop"]
    assert all(event.expires_at.seconds - event.occurred_at.seconds == 600 for event in events)


async def test_file_goes_before_the_store_and_that_is_told(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with sources.followed(redis_server.url) as (directory, store):
            assert await store.commit(Change(None, stored("shop", tenant="evil")))
            await directory.refresh()
            await directory.refresh()
            found = directory.registry.find("shop")
            assert found is not None
            assert found.tenant == "acme"
    told = [entry for entry in logs if entry["event"] == "clients_declared_twice"]
    assert [entry["ids"] for entry in told] == [["shop"]]


async def test_unreadable_record_is_left_out_and_told(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with sources.followed(redis_server.url) as (directory, store):
            await redis.hset("weir:identity:clients", "odd", '{"client_id": 7}')
            assert await store.commit(Change(None, stored("good")))
            await directory.refresh()
            assert knows(directory, "good")()
    assert [entry["id"] for entry in logs if entry["event"] == "identity_record_unreadable"] == [
        "odd"
    ]


async def test_pepper_is_replaced_while_old_hashes_still_hold(
    sources: Sources, redis: Redis, redis_server: Any
) -> None:
    async with sources.followed(redis_server.url) as (directory, _):
        sources.pepper_file.write_text(f"{NEW_PEPPER.hex()}\n{PEPPER.hex()}\n")
        second = {"client_id": "second", "secret_hashes": [hash_secret(NEW_PEPPER, "s")]}
        sources.write(ENTRY, ENTRY | second)
        await until(lambda: directory.registry.authenticate("second", "s") is not None)
        assert directory.registry.authenticate("shop", "s")
        assert directory.declared.pepper.hash("x") == hash_secret(NEW_PEPPER, "x")
        sources.pepper_file.write_text(NEW_PEPPER.hex())
        await until(lambda: directory.registry.authenticate("shop", "s") is None)
        assert directory.registry.authenticate("second", "s")


async def test_clients_are_served_while_redis_is_away_and_followed_when_it_is_back(
    sources: Sources, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as server, structlog.testing.capture_logs() as logs:
        async with sources.followed(server.url) as (directory, store):
            assert await store.commit(Change(None, stored("kept")))
            await until(knows(directory, "kept"))
            server.kill()
            await until(lambda: any(entry["event"] == "identity_store_away" for entry in logs))
            assert directory.registry.authenticate("kept", "s")
            with pytest.raises(IdentityStoreUnavailable):
                await store.commit(Change(None, stored("lost")))
            # Started while Redis is away: the file's clients, and health says so.
            async with sources.followed(server.url) as (late, _):
                assert knows(late, "shop")()
                assert forgets(late, "kept")()
                with pytest.raises(IdentityStale):
                    await late.check()
                server.start_ready()
                await until(knows(late, "kept"), within=30)
                await late.check()
            await until(lambda: any(entry["event"] == "identity_store_back" for entry in logs))
            assert await store.commit(Change(None, stored("more")))
            await until(knows(directory, "more"))


async def test_uses_of_a_key_are_stored_in_batches_once_a_minute(redis: Redis) -> None:
    store = IdentityStore(redis, revocations="weir:revocations")
    usage = KeyUsage(store)
    usage.note("a", 1000.0)
    usage.note("a", 1059.0)
    usage.note("b", 1001.0)
    await usage.flush()
    assert await store.last_uses(["a", "b", "c"]) == {"a": 1000.0, "b": 1001.0}
    usage.note("a", 1060.0)
    usage.note("b", 1060.0)
    await usage.flush()
    assert await store.last_uses(["a", "b"]) == {"a": 1060.0, "b": 1001.0}


async def test_uses_that_cannot_be_stored_wait(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=2.0)
        store = IdentityStore(redis, revocations="weir:revocations")
        usage = KeyUsage(store)
        server.stop()
        usage.note("a", 1000.0)
        await usage.flush()
        server.start_ready()
        await asyncio.wait_for(usage.flush(), 10)
        assert await store.last_uses(["a"]) == {"a": 1000.0}
        await redis.aclose()
