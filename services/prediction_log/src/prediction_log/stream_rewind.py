"""`rewind-streams`: what came after the moment that the database was restored to comes again.

Events that the restored database has already stay one row each: their ids are the rows' keys.
"""

import argparse
import sys
from collections.abc import Callable, Iterable

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from prediction_log.settings import Settings
from servicekit.redis_client import open_redis
from servicekit.startup import run_service


async def rewind_streams(redis: Redis, streams: Iterable[str], group: str) -> dict[str, int]:
    """Sets the group back to each stream's first entry; returns how many entries there are.

    Streams that nobody has consumed yet are passed over.

    Raises:
        RedisError: Redis is away; streams before the one it failed at are set back.
    """
    held = {}
    for stream in streams:
        try:
            await redis.xgroup_setid(stream, group, id="0")
        except ResponseError:
            # Neither stream nor group: the consumer begins with the first entry.
            continue
        held[stream] = int(await redis.xlen(stream))
    return held


def add_rewind_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    streams_of: Callable[[Settings], Iterable[str]],
) -> None:
    """Adds the command."""
    rewind = commands.add_parser(
        "rewind-streams",
        help="after a restore: consume again all that the streams still hold",
        description="Sets the log's consumer group back to the first entry of every stream. "
        "Events that are rows already stay one row. The service may run meanwhile.",
    )

    async def run(settings: Settings) -> None:
        redis = open_redis(
            settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
        )
        try:
            held = await rewind_streams(redis, streams_of(settings), settings.consumer_group)
        finally:
            await redis.aclose()
        for stream, entries in held.items():
            sys.stdout.write(f"{stream}  {entries} entries come again\n")

    rewind.set_defaults(
        run=lambda _: run_service("prediction_log", Settings, run, expected=(RedisError,))
    )
