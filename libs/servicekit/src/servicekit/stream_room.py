"""Whether the events Redis takes more records: it answers, and has memory to spare.

Redis refuses to grow when its memory is full, and with that also what consumers must write to get
on: their state, and new groups. Whoever adds records therefore stops earlier and leaves a reserve,
out of which consumers can catch up, so that trimming makes room again.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from servicekit.errors import Unavailable

_log = structlog.get_logger(__name__)

_INTERVAL = 1.0
"""Seconds between two looks while records are published."""
_AGAIN = 1.25
"""Times the reserve that must be free before records are taken again, lest each look differ."""


class EventStreamUnavailable(Unavailable):
    """The stream did not acknowledge: nothing may be taken as published."""

    reason = "EVENT_STREAM_UNAVAILABLE"


class EventStreamFull(EventStreamUnavailable):
    """Redis answers and has no memory left for more records until consumers have caught up."""

    reason = "EVENT_STREAM_FULL"


def stream_away() -> EventStreamUnavailable:
    """The error that says so to callers."""
    message = "The event stream takes no records for the moment."
    return EventStreamUnavailable(message, retry_after=1.0)


def stream_full() -> EventStreamFull:
    """The error that says so to callers."""
    return EventStreamFull("The event stream is full for the moment.", retry_after=2.0)


class StreamRoom:
    """Looks now and then how full Redis is.

    Args:
        reserve: share of Redis's memory limit that is left free for others; with 0, or a Redis
            without a limit, there is always room.
    """

    def __init__(
        self, redis: Redis, *, reserve: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._reserve = reserve
        self._clock = clock
        self._next_look = 0.0
        self._full = False
        self._told_of_eviction = False

    async def claim(self) -> None:
        """Returns if records may be added, from what was found within the last second.

        Raises:
            EventStreamFull: there is no room.
            EventStreamUnavailable: Redis does not answer.
        """
        if not self._reserve:
            return  # It has Redis's own answer to each record.
        if self._clock() >= self._next_look:
            # Set before the look: who comes meanwhile does not wait for the same answer.
            self._next_look = self._clock() + _INTERVAL
            await self.look()
        elif self._full:
            raise stream_full()

    async def look(self) -> None:
        """Asks Redis now; raises as `claim` does."""
        try:
            memory: dict[str, Any] = await self._redis.info("memory")
        except NoPermissionError:
            # Its operator keeps that to themselves; then its own refusal is all there is.
            memory = {}
        except (RedisError, OSError) as error:
            raise stream_away() from error
        limit = memory.get("maxmemory", 0)
        reserve = self._reserve * (_AGAIN if self._full else 1)
        self._full = limit > 0 and memory["used_memory"] > limit * (1 - reserve)
        self._tell_of_eviction(str(memory.get("maxmemory_policy", "noeviction")))
        if self._full:
            raise stream_full()

    def found_full(self) -> None:
        """Notes that Redis itself refused a record; the next look may find room again."""
        self._full = True
        self._next_look = self._clock() + _INTERVAL

    def _tell_of_eviction(self, policy: str) -> None:
        if policy != "noeviction" and not self._told_of_eviction:
            _log.error("events_redis_evicts", maxmemory_policy=policy, remedy="noeviction")
        self._told_of_eviction = policy != "noeviction"
