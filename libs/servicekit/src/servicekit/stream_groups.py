"""Which groups read a stream, how far they are, and what nobody needs any more."""

from typing import Any

from redis.asyncio import Redis


def entry_order(entry_id: str) -> tuple[int, int]:
    """Sorts entry ids as Redis does."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


async def trim_consumed(redis: Redis, stream: str, group: str) -> int:
    """Drops the entries that every group of the stream has acknowledged; returns how many.

    Args:
        group: one that must be among them: nothing is dropped before it has come to read.

    Raises:
        RedisError: Redis is away; nothing was dropped, or nothing that was needed.
    """
    groups = await groups_of(redis, stream)
    if group not in groups:
        return 0
    needed: list[str] = []
    for name, last_delivered in groups.items():
        pending: Any = await redis.xpending(stream, name)
        if pending["pending"]:
            needed.append(text_of(pending["min"]))
        else:
            milliseconds, sequence = entry_order(last_delivered)
            needed.append(f"{milliseconds}-{sequence + 1}")
    oldest = min(needed, key=entry_order)
    # Exactly: approximately would keep up to a hundred entries until others come, and with them
    # what they say about people.
    return int(await redis.xtrim(stream, minid=oldest, approximate=False))


async def groups_of(redis: Redis, stream: str) -> dict[str, str]:
    """The last entry that was delivered to each group; nothing where there is no stream."""
    if not await redis.exists(stream):
        return {}
    groups: Any = await redis.xinfo_groups(stream)
    return {text_of(group["name"]): text_of(group["last-delivered-id"]) for group in groups}


def text_of(value: bytes | str) -> str:
    """What Redis answered, as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
