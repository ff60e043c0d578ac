"""Looks into the stores of a platform, past its services."""

import asyncio

import asyncpg
from redis import Redis

from weir_local.platform_parts import Endpoints

_CONNECT_TIMEOUT = 5.0
_QUERY_TIMEOUT = 60.0
_GROUP = "prediction_log"
_COUNTED = 10_000


def events_redis(endpoints: Endpoints) -> Redis:
    """A client of the events Redis; it waits five seconds for an answer."""
    return Redis.from_url(endpoints.events_redis, socket_timeout=_CONNECT_TIMEOUT)


def query(endpoints: Endpoints, statement: str) -> list[asyncpg.Record]:
    """Asks the log's database itself.

    Raises:
        OSError, asyncpg.PostgresError: it cannot answer.
    """
    host = endpoints.postgres.partition("host=")[2]

    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(
            user="postgres", database="postgres", host=host, timeout=_CONNECT_TIMEOUT
        )
        try:
            found: list[asyncpg.Record] = await connection.fetch(statement, timeout=_QUERY_TIMEOUT)
            return found
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT)

    return asyncio.run(fetch())


def waiting_entries(redis: Redis) -> dict[str, int]:
    """By stream, the entries that the log has not acknowledged (at most 10 000 are counted)."""
    waiting: dict[str, int] = {}
    for key in redis.scan_iter("weir:*", _type="stream"):
        groups = {group["name"].decode(): group for group in redis.xinfo_groups(key)}
        if _GROUP in groups:
            after = groups[_GROUP]["last-delivered-id"].decode()
            left = groups[_GROUP]["pending"] + len(redis.xrange(key, f"({after}", count=_COUNTED))
        else:
            left = redis.xlen(key)
        if left:
            waiting[key.decode()] = left
    return waiting
