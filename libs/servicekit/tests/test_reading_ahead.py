"""Batches: their bounds, and reading the next one while one is written."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from redis.asyncio import Redis
from structlog.testing import capture_logs

from servicekit.event_stream import Event, EventConsumer, EventPublisher
from testkit.waiting import until

STREAM = "test:facts"


def consumer(redis: Redis, name: str = "a", **options: Any) -> EventConsumer:
    limits: dict[str, Any] = {"block": 0.05, "batch_size": 2}
    return EventConsumer(redis, stream=STREAM, group="g", consumer=name, **limits | options)


async def publish(redis: Redis, *values: str) -> None:
    await EventPublisher(redis).publish(STREAM, [StringValue(value=value) for value in values])


def values_of(events: Sequence[Event]) -> list[str]:
    return [StringValue.FromString(event.data).value for event in events]


class Steps:
    """Notes what happens to each batch; writes only while it may."""

    def __init__(self) -> None:
        self.prepared: list[list[str]] = []
        self.written: list[list[str]] = []
        self.may_write = asyncio.Event()
        self.failures = 0
        self.writing = 0

    @property
    def done(self) -> list[str]:
        return [value for batch in self.written for value in batch]

    async def prepare(self, events: Sequence[Event]) -> list[str]:
        self.prepared.append(values_of(events))
        return values_of(events)

    async def write(self, values: list[str]) -> None:
        self.writing += 1
        assert self.writing == 1
        try:
            await self.may_write.wait()
            if self.failures:
                self.failures -= 1
                raise RuntimeError("not now")
            self.written.append(values)
        finally:
            self.writing -= 1


@pytest.fixture
def steps() -> Steps:
    return Steps()


async def stop(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.wait([running])


async def pending(redis: Redis) -> int:
    return int((await redis.xpending(STREAM, "g"))["pending"])


async def test_batch_is_bounded_by_bytes_too(redis: Redis) -> None:
    await publish(redis, *["x" * 50_000] * 30)
    batches: list[int] = []

    async def handle(events: Sequence[Event]) -> None:
        batches.append(sum(len(event.data) for event in events))

    bounded = consumer(redis, batch_size=1000, batch_bytes=200_000)
    while await bounded.consume_once(handle):
        pass
    assert sum(batches) >= 30 * 50_000
    assert max(batches) <= 250_200


async def test_entry_larger_than_a_batch_is_a_batch(redis: Redis) -> None:
    await publish(redis, "x" * 100_000, "y" * 100_000)
    batches: list[int] = []

    async def handle(events: Sequence[Event]) -> None:
        batches.append(len(events))

    bounded = consumer(redis, batch_size=1000, batch_bytes=10)
    while await bounded.consume_once(handle):
        pass
    assert batches == [1, 1]


async def test_what_was_not_acknowledged_comes_again_in_more_than_one_answer(
    redis: Redis, steps: Steps
) -> None:
    await publish(redis, *map(str, range(2500)))

    async def fail(_: Sequence[Event]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await consumer(redis, batch_size=2200).consume_once(fail)
    seen: list[str] = []

    async def handle(events: Sequence[Event]) -> None:
        seen.extend(values_of(events))

    again = consumer(redis, batch_size=2200)
    assert await again.consume_once(handle) == 2200
    while await again.consume_once(handle):
        pass
    assert seen == [str(number) for number in range(2500)]


async def test_next_batch_is_prepared_while_one_is_written(redis: Redis, steps: Steps) -> None:
    await publish(redis, *"abcdefgh")
    running = asyncio.create_task(consumer(redis).run_ahead(steps.prepare, steps.write))
    steps.may_write.set()
    await until(lambda: len(steps.written) >= 1)
    steps.may_write.clear()
    await publish(redis, *"ijklmnopq")
    await until(lambda: len(steps.prepared) == len(steps.written) + 2)
    # One is being written, one waits; nothing more is taken into memory.
    assert await pending(redis) == 4
    steps.may_write.set()
    await until(lambda: steps.done == list("abcdefghijklmnopq"))
    assert steps.prepared == steps.written
    await until_nothing_is_pending(redis)
    await stop(running)


async def until_nothing_is_pending(redis: Redis) -> None:
    async def nothing() -> bool:
        return await pending(redis) == 0

    await until(nothing)


async def test_batch_that_could_not_be_written_comes_again_before_what_follows_it(
    redis: Redis, steps: Steps
) -> None:
    await publish(redis, *"abcdef")
    steps.failures = 3
    steps.may_write.set()
    with capture_logs() as logs:
        running = asyncio.create_task(consumer(redis).run_ahead(steps.prepare, steps.write))
        await until(lambda: steps.done == list("abcdef"))
        await until_nothing_is_pending(redis)
        await stop(running)
    assert [entry["event"] for entry in logs] == ["consume_failed", "consume_recovered"]


async def test_failure_in_the_middle_loses_and_repeats_nothing(redis: Redis, steps: Steps) -> None:
    await publish(redis, *"ab")
    running = asyncio.create_task(consumer(redis).run_ahead(steps.prepare, steps.write))
    steps.may_write.set()
    await until(lambda: steps.written == [["a", "b"]])
    steps.may_write.clear()
    await publish(redis, *"cdefgh")
    await until(lambda: len(steps.prepared) == 3)
    steps.failures = 1
    steps.may_write.set()
    await until(lambda: steps.done == list("abcdefgh"))
    await until_nothing_is_pending(redis)
    await stop(running)


async def test_stopped_while_writing_leaves_its_batches_to_the_next_start(
    redis: Redis, steps: Steps
) -> None:
    await publish(redis, *"abcd")
    running = asyncio.create_task(consumer(redis).run_ahead(steps.prepare, steps.write))
    await until(lambda: steps.writing == 1)
    await stop(running)
    assert steps.writing == 0
    steps.may_write.set()
    running = asyncio.create_task(consumer(redis).run_ahead(steps.prepare, steps.write))
    await until(lambda: steps.done == list("abcd"))
    await stop(running)


async def test_batches_of_a_dead_member_are_claimed_though_it_was_reading_ahead(
    redis: Redis, steps: Steps, make_dead: Callable[[], Any]
) -> None:
    await publish(redis, *"abcdefgh")
    await make_dead()
    assert await pending(redis) == 4
    steps.may_write.set()
    alive = consumer(redis, "alive", claim_after=0.0)
    running = asyncio.create_task(alive.run_ahead(steps.prepare, steps.write))
    await until(lambda: sorted(steps.done) == list("abcdefgh"))
    await until_nothing_is_pending(redis)
    await stop(running)


@pytest.fixture
def make_dead(redis: Redis) -> Callable[[], Any]:
    """Has a member take two batches, and no more is heard of it."""

    async def take_and_die() -> None:
        async def fail(_: Sequence[Event]) -> None:
            raise RuntimeError

        dead = consumer(redis, "dead", batch_size=4)
        with pytest.raises(RuntimeError):
            await dead.consume_once(fail)

    return take_and_die
