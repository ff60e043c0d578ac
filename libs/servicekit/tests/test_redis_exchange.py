"""Commands over kept connections, with a real Redis."""

import asyncio
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from servicekit.redis_client import open_redis
from servicekit.redis_exchange import RedisExchange
from testkit.stores import Store, running_redis


async def test_answers_come_in_order_with_refusals_among_them(redis_server: Store) -> None:
    redis = open_redis(redis_server.url, timeout=5.0)
    exchange = RedisExchange(redis)
    first, refused, last = await exchange.answers(
        [("SET", "a", 1), ("LPUSH", "a", "x"), ("INCR", "a")]
    )
    assert (first, last) == (b"OK", 2)
    assert isinstance(refused, ResponseError)
    assert await exchange.answers([("GET", "a")]) == [b"2"]
    await redis.aclose()


async def test_one_connection_serves_one_caller_after_another(redis_server: Store) -> None:
    redis = open_redis(redis_server.url, timeout=5.0)
    exchange = RedisExchange(redis)
    ids = {tuple(await exchange.answers([("CLIENT", "ID")])) for _ in range(5)}
    assert len(ids) == 1
    at_once = await asyncio.gather(*(exchange.answers([("CLIENT", "ID")]) for _ in range(3)))
    assert len({tuple(answer) for answer in at_once}) == 3
    await redis.aclose()


async def test_who_stops_waiting_leaves_no_answer_for_the_next(redis_server: Store) -> None:
    redis = open_redis(redis_server.url, timeout=5.0)
    exchange = RedisExchange(redis)
    await exchange.answers([("SET", "mine", "yes")])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await exchange.answers([("BLPOP", "nothing", 30)])
    assert await exchange.answers([("GET", "mine")]) == [b"yes"]
    await redis.aclose()


async def test_a_restart_of_redis_is_not_noticed_and_its_absence_is(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=5.0)
        exchange = RedisExchange(redis)
        await asyncio.gather(*(exchange.answers([("PING",)]) for _ in range(3)))
        server.kill()
        with pytest.raises((RedisConnectionError, OSError)):
            await exchange.answers([("PING",)])
        server.start_ready()
        for _ in range(4):
            assert await exchange.answers([("PING",)]) == [b"PONG"]
        await redis.aclose()
