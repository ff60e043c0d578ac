"""Each version that takes traffic is told of once, and again when its share changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest_asyncio
from redis.asyncio import Redis

from inference.deployments import Deployments
from servicekit.event_stream import EventPublisher
from servicekit.identifiers import new_id
from servicekit.redis_client import open_redis
from testkit.stores import running_redis
from testkit.waiting import until
from weir.events.v1 import events_pb2

from .served import Served

STREAM = "weir:deployments"


def deployments(served: Served, redis: Redis) -> Deployments:
    return Deployments(
        served.repository, EventPublisher(redis), stream=STREAM, instance="i-1", new_id=new_id
    )


@pytest_asyncio.fixture
async def told(served: Served, redis: Redis) -> AsyncIterator[Deployments]:
    subject = deployments(served, redis)
    publishing = asyncio.create_task(subject.publish())
    yield subject
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing


async def shares(redis: Redis, count: int) -> list[tuple[str, int]]:
    """Version and share of the events, once there are as many."""

    async def there() -> bool:
        return int(await redis.xlen(STREAM)) >= count

    await until(there)
    events = [
        events_pb2.ModelDeployed.FromString(fields[b"data"])
        for _, fields in await redis.xrange(STREAM)
    ]
    assert all(len(event.manifest_sha256) == 64 and event.instance == "i-1" for event in events)
    return [(event.model_version, event.traffic_percent) for event in events]


async def test_changes_are_told_once_and_looks_without_any_are_not(
    served: Served, redis: Redis, told: Deployments
) -> None:
    async def look() -> None:
        await served.watch.look()
        told.note()

    await look()
    await look()
    served.add("2")
    served.route(v1=100, v2=0)
    await look()
    served.route(v1=90, v2=10)
    await look()
    await look()
    served.route(v2=100)
    await look()
    assert await shares(redis, 5) == [("1", 100), ("1", 90), ("2", 10), ("1", 0), ("2", 100)]


async def test_what_happened_while_the_stream_was_away_is_told_when_it_is_back(
    served: Served, tmp_path: Path
) -> None:
    with running_redis(tmp_path / "redis") as server:
        redis = open_redis(server.url, timeout=0.5)
        subject = deployments(served, redis)
        server.kill()
        subject.note()
        publishing = asyncio.create_task(subject.publish())
        await asyncio.sleep(0)
        server.start_ready()
        assert await shares(redis, 1) == [("1", 100)]
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        await redis.aclose()
