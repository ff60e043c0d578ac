"""Keeps the streams short and tells how far behind the log is: by entries, by age and by bytes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from servicekit.stream_groups import entry_order, text_of, trim_consumed

_log = structlog.get_logger(__name__)

WAITING = Gauge(
    "weir_prediction_log_waiting_entries",
    "Entries of the stream that are not written yet. Where another group reads it more slowly and "
    "Redis is older than 7, counted up to 10 000.",
    ["stream"],
)
OLDEST_WAITING = Gauge(
    "weir_prediction_log_oldest_waiting_seconds",
    "Age of the oldest entry that is not written yet, seconds; 0 when there is none.",
    ["stream"],
)
BYTES = Gauge(
    "weir_prediction_log_stream_bytes",
    "Memory that the stream takes in Redis, for all of its groups; estimated from a few entries.",
    ["stream"],
)
_COUNT_LIMIT = 10_000
# Counts inside Redis, so that the entries stay there. Redis 7 knows the number, 6.2 does not.
_COUNT = "return #redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])"


class StreamWatch:
    """Looks after the streams that one consumer group reads."""

    def __init__(
        self,
        redis: Redis,
        streams: Sequence[str],
        group: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._streams = streams
        self._group = group
        self._clock = clock
        self._away = False

    async def look(self) -> None:
        """Trims what every group has consumed and measures what waits."""
        try:
            for stream in self._streams:
                await trim_consumed(self._redis, stream, self._group)
            for stream, group in (await self._groups()).items():
                await self._measure(stream, group)
        except (RedisError, OSError) as error:
            if not self._away:
                _log.warning("stream_watch_failed", error=type(error).__name__)
            self._away = True
            return
        if self._away:
            _log.info("stream_watch_recovered")
        self._away = False

    async def _groups(self) -> dict[str, dict[str, Any]]:
        """What Redis knows of our group, by stream that it reads; their bytes are told at once."""
        async with self._redis.pipeline(transaction=False) as asked:
            for stream in self._streams:
                asked.memory_usage(stream)
            taken = dict(zip(self._streams, await asked.execute(), strict=True))
            for stream, size in taken.items():
                BYTES.labels(stream).set(size or 0)
            there = [stream for stream, size in taken.items() if size is not None]
            for stream in there:
                asked.xinfo_groups(stream)
            found = zip(there, await asked.execute(), strict=True)
        return {
            stream: group
            for stream, groups in found
            for group in groups
            if text_of(group["name"]) == self._group
        }

    async def _measure(self, stream: str, group: dict[str, Any]) -> None:
        pending: Any = await self._redis.xpending(stream, self._group)
        delivered = entry_order(text_of(group["last-delivered-id"]))
        following = f"{delivered[0]}-{delivered[1] + 1}"
        unread = await self._count_unread(stream, group, pending, following)
        WAITING.labels(stream).set(int(pending["pending"]) + unread)
        oldest: list[str] = []
        if pending["pending"]:
            oldest.append(text_of(pending["min"]))
        elif unread:
            oldest += await self._first(stream, following)
        age = self._clock() - entry_order(oldest[0])[0] / 1000 if oldest else 0.0
        OLDEST_WAITING.labels(stream).set(max(age, 0.0))

    async def _count_unread(
        self, stream: str, group: dict[str, Any], pending: Any, following: str
    ) -> int:
        lag = group.get("lag")
        if lag is not None:
            return int(lag)
        first = await self._first(stream, "-")
        if not first:
            return 0
        # What was trimmed away is what we need no more, so all that is there is ours.
        ours = text_of(pending["min"]) if pending["pending"] else following
        if entry_order(first[0]) >= entry_order(ours):
            return max(int(await self._redis.xlen(stream)) - int(pending["pending"]), 0)
        counted: Any = self._redis.eval(_COUNT, 1, stream, following, str(_COUNT_LIMIT))
        return int(await counted)

    async def _first(self, stream: str, after: str) -> list[str]:
        """The first entry's id from there on, if there is one."""
        entries: Any = await self._redis.xrange(stream, after, count=1)
        return [text_of(entry_id) for entry_id, _ in entries]
