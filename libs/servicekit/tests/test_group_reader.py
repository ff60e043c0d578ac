"""How long a member waits for what is new, over a real Redis."""

import time

from redis.asyncio import Redis

from servicekit.group_reader import GroupReader

STREAM = "test:facts"


def reader(redis: Redis, *, block: float, claim_after: float) -> GroupReader:
    return GroupReader(
        redis,
        stream=STREAM,
        group="g",
        consumer="a",
        batch_size=10,
        batch_bytes=1024,
        block=block,
        claim_after=claim_after,
    )


async def test_waiting_ends_when_it_is_time_to_look_for_what_others_left(redis: Redis) -> None:
    waiting = reader(redis, block=30.0, claim_after=0.2)
    began = time.monotonic()
    assert await waiting.read() == []
    assert time.monotonic() - began < 10


async def test_waiting_is_no_longer_than_it_may_be(redis: Redis) -> None:
    waiting = reader(redis, block=0.01, claim_after=60.0)
    began = time.monotonic()
    for _ in range(3):
        assert await waiting.read() == []
    assert time.monotonic() - began < 4
