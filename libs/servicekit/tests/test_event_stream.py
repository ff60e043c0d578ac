"""Streams over a real Redis."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from redis.asyncio import Redis
from structlog.testing import capture_logs

from servicekit.event_stream import (
    Event,
    EventConsumer,
    EventPublisher,
    EventStreamUnavailable,
)
from servicekit.redis_client import open_redis
from servicekit.stream_groups import trim_consumed
from testkit.stores import Store, running_redis
from testkit.waiting import until

STREAM = "test:facts"


class Collector:
    """Remembers what it was handed; fails while told to."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.failures = 0

    async def __call__(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        self.values += [StringValue.FromString(event.data).value for event in events]


def consumer(
    redis: Redis, name: str = "a", group: str = "g", claim_after: float = 60.0
) -> EventConsumer:
    return EventConsumer(
        redis, stream=STREAM, group=group, consumer=name, block=0.05, claim_after=claim_after
    )


async def publish(redis: Redis, *values: str) -> None:
    await EventPublisher(redis).publish(STREAM, [StringValue(value=value) for value in values])


async def drain(consumer: EventConsumer, collector: Collector) -> None:
    while await consumer.consume_once(collector):
        pass


async def test_events_arrive_in_order_with_their_type(redis: Redis) -> None:
    await publish(redis, "one", "two")
    seen: list[Event] = []

    async def handle(events: Sequence[Event]) -> None:
        seen.extend(events)

    await consumer(redis).consume_once(handle)
    assert [StringValue.FromString(event.data).value for event in seen] == ["one", "two"]
    assert {event.type_name for event in seen} == {"google.protobuf.StringValue"}


async def test_each_group_gets_every_event(redis: Redis) -> None:
    await publish(redis, "one")
    for group in ("g", "h"):
        collector = Collector()
        await drain(consumer(redis, group=group), collector)
        assert collector.values == ["one"]


async def test_acknowledged_events_do_not_come_again(redis: Redis) -> None:
    await publish(redis, "one")
    collector = Collector()
    await drain(consumer(redis), collector)
    await drain(consumer(redis), collector)
    assert collector.values == ["one"]


async def test_crashed_consumer_gets_its_batch_again(redis: Redis) -> None:
    await publish(redis, "one", "two")
    collector = Collector()
    collector.failures = 1
    with pytest.raises(RuntimeError):
        await consumer(redis).consume_once(collector)
    await publish(redis, "three")
    await drain(consumer(redis), collector)
    assert collector.values == ["one", "two", "three"]


async def test_failing_handler_is_retried_while_running(redis: Redis) -> None:
    await publish(redis, "one")
    collector = Collector()
    collector.failures = 2
    running = asyncio.create_task(consumer(redis).run(collector))
    await until(lambda: bool(collector.values))
    running.cancel()
    await asyncio.wait([running])
    assert collector.values == ["one"]


async def test_lasting_failure_is_logged_when_it_begins_and_when_it_ends(redis: Redis) -> None:
    await publish(redis, "one")
    collector = Collector()
    collector.failures = 3
    with capture_logs() as logs:
        running = asyncio.create_task(consumer(redis).run(collector))
        await until(lambda: any(entry["event"] == "consume_recovered" for entry in logs))
        running.cancel()
        await asyncio.wait([running])
    assert [entry["event"] for entry in logs] == ["consume_failed", "consume_recovered"]
    assert collector.values == ["one"]


async def test_cancellation_that_somebody_swallowed_still_ends_the_consumer(redis: Redis) -> None:
    await publish(redis, "one")
    handling = asyncio.Event()

    async def handle(_: Sequence[Event]) -> None:
        handling.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    running = asyncio.create_task(consumer(redis).run(handle))
    await handling.wait()
    running.cancel()
    async with asyncio.timeout(5):
        await running


async def test_trickle_is_gathered_into_one_batch(redis: Redis) -> None:
    batches: list[int] = []

    async def handle(events: Sequence[Event]) -> None:
        batches.append(len(events))

    gathering = EventConsumer(redis, stream=STREAM, group="g", consumer="a", gather=1.0)
    await publish(redis, "one")
    running = asyncio.create_task(gathering.run(handle))
    await until(lambda: batches == [1])
    for value in ("two", "three", "four"):
        await publish(redis, value)
    await until(lambda: len(batches) > 1)
    running.cancel()
    await asyncio.wait([running])
    assert batches == [1, 3]


async def test_batch_of_a_dead_member_is_claimed(redis: Redis) -> None:
    await publish(redis, "one")
    dead = Collector()
    dead.failures = 1
    with pytest.raises(RuntimeError):
        await consumer(redis, "dead").consume_once(dead)
    collector = Collector()
    await drain(consumer(redis, "alive", claim_after=0.0), collector)
    assert collector.values == ["one"]


async def test_what_a_stopped_member_held_is_taken_by_another_at_once(redis: Redis) -> None:
    await publish(redis, "one", "two")
    began, never = asyncio.Event(), asyncio.Event()

    async def handle(_: Sequence[Event]) -> None:
        began.set()
        await never.wait()

    stopping = asyncio.create_task(consumer(redis, "stopping").run(handle))
    await began.wait()
    stopping.cancel()
    await asyncio.wait([stopping])
    assert stopping.cancelled()
    collector = Collector()
    await drain(consumer(redis, "successor"), collector)
    assert collector.values == ["one", "two"]


async def test_trimming_drops_exactly_what_every_group_has_acknowledged(redis: Redis) -> None:
    collector = Collector()
    slow, fast = consumer(redis, group="slow"), consumer(redis, group="fast")
    await publish(redis, *map(str, range(300)))
    await slow.consume_once(Collector())
    await publish(redis, *map(str, range(300, 600)))
    await drain(fast, Collector())
    assert await trim_consumed(redis, STREAM, "fast") == 300
    assert await redis.xlen(STREAM) == 300
    await drain(slow, collector)
    assert collector.values == [str(number) for number in range(300, 600)]
    assert await trim_consumed(redis, STREAM, "fast") == 300
    assert await redis.xlen(STREAM) == 0


async def test_trimming_keeps_what_was_handed_out_and_not_acknowledged(redis: Redis) -> None:
    await publish(redis, "one", "two", "three")
    ((_, entries),) = await pending_in_the_middle(redis)
    assert await trim_consumed(redis, STREAM, "g") == 1
    remaining = await redis.xrange(STREAM)
    assert [entry_id for entry_id, _ in remaining] == [entry_id for entry_id, _ in entries[1:]]


async def pending_in_the_middle(redis: Redis) -> Any:
    """Hands out everything and acknowledges all but the second."""
    await redis.xgroup_create(STREAM, "g", id="0")
    answer = await redis.xreadgroup("g", "a", {STREAM: ">"})
    ((_, entries),) = answer
    for position in (0, 2):
        await redis.xack(STREAM, "g", entries[position][0])
    return answer


async def test_trimming_waits_for_a_group_that_has_not_come_yet(redis: Redis) -> None:
    await publish(redis, *map(str, range(300)))
    await drain(consumer(redis, group="early"), Collector())
    assert await trim_consumed(redis, STREAM, "late") == 0
    collector = Collector()
    await drain(consumer(redis, group="late"), collector)
    assert len(collector.values) == 300


async def test_trimming_a_stream_that_nobody_reads_drops_nothing(redis: Redis) -> None:
    await publish(redis, "one")
    assert await trim_consumed(redis, STREAM, "g") == 0
    assert await trim_consumed(redis, "test:absent", "g") == 0


async def test_batch_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=1.0)
        await redis.config_set("maxmemory", "2mb")
        with pytest.raises(EventStreamUnavailable):
            await publish(redis, *["x" * 100_000] * 40)
        assert await redis.xlen(STREAM) == 0
        await redis.aclose()


async def test_publishing_survives_a_restart_of_redis(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=1.0)
        await publish(redis, "before")
        server.kill()
        with pytest.raises(EventStreamUnavailable):
            await publish(redis, "during")
        server.start_ready()
        await publish(redis, "after")
        collector = Collector()
        await drain(consumer(redis), collector)
        assert collector.values == ["before", "after"]
        await redis.aclose()


async def test_consumer_comes_back_after_redis_lost_everything(tmp_path: Path) -> None:
    with running_redis(tmp_path, durable=False) as server:
        redis = open_redis(server.url, timeout=2.0)
        collector = Collector()
        running = asyncio.create_task(consumer(redis).run(collector))
        await publish(redis, "one")
        await until(lambda: collector.values == ["one"])
        server.kill()
        server.start_ready()
        await publish(redis, "two")
        await until(lambda: collector.values == ["one", "two"])
        running.cancel()
        await asyncio.wait([running])
        await redis.aclose()


async def test_stalled_redis_is_given_up_in_time(redis_server: Store) -> None:
    redis = open_redis(redis_server.url, timeout=0.2)
    await redis.flushall()
    redis_server.send(signal.SIGSTOP)
    try:
        async with asyncio.timeout(1.0):
            with pytest.raises(EventStreamUnavailable):
                await publish(redis, "one")
    finally:
        redis_server.send(signal.SIGCONT)
        await redis.aclose()
