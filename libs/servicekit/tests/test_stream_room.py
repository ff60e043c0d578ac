"""What happens when the events Redis runs out of memory."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from servicekit.event_stream import (
    Event,
    EventConsumer,
    EventPublisher,
    EventStreamFull,
    EventStreamUnavailable,
)
from servicekit.redis_client import open_redis
from servicekit.stream_groups import trim_consumed
from servicekit.stream_room import StreamRoom
from testkit.stores import Store, running_redis

STREAM = "test:facts"
FACT = StringValue(value="x" * 1000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_redis(tmp_path_factory.mktemp("full")) as running:
        yield running


@pytest.fixture
async def small(server: Store) -> AsyncIterator[Redis]:
    """A Redis whose memory a test may limit."""
    redis = open_redis(server.url, timeout=5.0)
    yield redis
    await redis.config_set("maxmemory", 0)
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.flushall()
    await redis.aclose()


async def leave(redis: Redis, kilobytes: int) -> None:
    """Limits the memory to what is used and so much more."""
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", used + kilobytes * 1024)


def consumer(redis: Redis) -> EventConsumer:
    return EventConsumer(redis, stream=STREAM, group="g", consumer="a", block=0.05)


async def ignore(_: Sequence[Event]) -> None:
    """Handles events by forgetting them."""


async def test_redis_that_refuses_for_want_of_memory_is_told_from_one_that_is_away(
    small: Redis,
) -> None:
    await leave(small, 0)
    publisher = EventPublisher(small)
    labels = {"stream": STREAM, "code": "EVENT_STREAM_FULL"}
    before = REGISTRY.get_sample_value("weir_events_publish_failures_total", labels) or 0.0
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(EventStreamFull) as caught:
                await publisher.publish(STREAM, [FACT, FACT])
        assert caught.value.retry_after is not None
        await small.config_set("maxmemory", 0)
        await publisher.check()
        await publisher.publish(STREAM, [FACT])
    assert await small.xlen(STREAM) == 1
    assert REGISTRY.get_sample_value("weir_events_publish_failures_total", labels) == before + 6
    assert [entry["event"] for entry in logs] == ["publish_failed", "publish_recovered"]


async def test_publisher_leaves_a_reserve_that_consumers_can_use(small: Redis) -> None:
    await small.set("others", b"x" * 4_000_000)
    await leave(small, 200)
    with pytest.raises(EventStreamFull):
        await EventPublisher(small, reserve=0.1).publish(STREAM, [FACT])
    await EventPublisher(small).publish(STREAM, [FACT])
    assert await consumer(small).consume_once(ignore) == 1


async def test_room_just_above_the_reserve_is_no_room_again_yet(small: Redis) -> None:
    room = StreamRoom(small, reserve=0.5)
    await small.set("others", b"x" * 4_000_000)
    used = (await small.info("memory"))["used_memory"]
    await small.config_set("maxmemory", int(used * 1.9))
    with pytest.raises(EventStreamFull):
        await room.look()
    await small.config_set("maxmemory", int(used * 2.1))
    await StreamRoom(small, reserve=0.5).look()
    with pytest.raises(EventStreamFull):
        await room.look()
    await small.config_set("maxmemory", used * 4)
    await room.look()


async def test_publisher_finds_out_by_itself_that_there_is_room_again(small: Redis) -> None:
    now = 0.0
    room = StreamRoom(small, reserve=0.5, clock=lambda: now)
    await leave(small, 10)
    with pytest.raises(EventStreamFull):
        await room.claim()
    await small.config_set("maxmemory", 0)
    with pytest.raises(EventStreamFull):
        await room.claim()  # asked a moment ago
    now = 1.0
    await room.claim()


async def test_consumers_work_in_a_full_redis_and_trimming_makes_room(small: Redis) -> None:
    publisher = EventPublisher(small)
    await publisher.publish(STREAM, [FACT] * 2000)
    assert await consumer(small).consume_once(ignore)
    await leave(small, -500)
    with pytest.raises(EventStreamFull):
        await publisher.publish(STREAM, [FACT])
    restarted = consumer(small)
    while await restarted.consume_once(ignore):
        pass
    assert await trim_consumed(small, STREAM, "g") > 1000
    await publisher.publish(STREAM, [FACT])


async def test_redis_that_would_evict_is_complained_of_once(small: Redis) -> None:
    await small.config_set("maxmemory-policy", "allkeys-lru")
    room = StreamRoom(small, reserve=0.1)
    with capture_logs() as logs:
        await room.look()
        await room.look()
    assert [entry["event"] for entry in logs] == ["events_redis_evicts"]


async def test_redis_that_is_away_has_no_room(tmp_path: Path) -> None:
    redis = open_redis(f"unix://{tmp_path}/nobody.sock", timeout=0.5)
    with pytest.raises(EventStreamUnavailable):
        await StreamRoom(redis, reserve=0.1).claim()
    await redis.aclose()
