"""Which groups read a stream, how far they are, and what nobody needs any more."""

from typing import Any

from redis.asyncio import Redis

# In one script, so that no group can appear, fall back or read on between the look and the cut.
_TRIM = """
local oldest_ms, oldest_seq, is_read
local function keep_from(ms, seq)
    if not oldest_ms or ms < oldest_ms or (ms == oldest_ms and seq < oldest_seq) then
        oldest_ms, oldest_seq = ms, seq
    end
end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local fields = {}
    for place = 1, #group, 2 do fields[group[place]] = group[place + 1] end
    local pending = redis.call('XPENDING', KEYS[1], fields['name'])
    is_read = is_read or fields['name'] == ARGV[1]
    local id, following = fields['last-delivered-id'], 1
    if pending[1] > 0 then id, following = pending[2], 0 end
    local ms, seq = string.match(id, '(%d+)-(%d+)')
    keep_from(tonumber(ms), tonumber(seq) + following)
end
if not is_read then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f-%.0f', oldest_ms, oldest_seq))
"""


def entry_order(entry_id: str) -> tuple[int, int]:
    """Sorts entry ids as Redis does."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


async def trim_consumed(redis: Redis, stream: str, group: str) -> int:
    """Drops the entries that every group of the stream has acknowledged; returns how many.

    Exactly those: no command finds them any more. Their bytes are freed with the node of Redis that
    they lie in (4 KiB by default) as soon as nothing else in it is needed; at the latest when the
    stream is empty.

    Args:
        group: one that must be among them: nothing is dropped before it has come to read.

    Raises:
        RedisError: Redis is away; nothing was dropped, or nothing that was needed.
    """
    trimmed: Any = redis.eval(_TRIM, 1, stream, group)
    return int(await trimmed)


async def groups_of(redis: Redis, stream: str) -> dict[str, str]:
    """The last entry that was delivered to each group; nothing where there is no stream."""
    if not await redis.exists(stream):
        return {}
    groups: Any = await redis.xinfo_groups(stream)
    return {text_of(group["name"]): text_of(group["last-delivered-id"]) for group in groups}


def text_of(value: bytes | str) -> str:
    """What Redis answered, as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
