"""Facts over Redis Streams: append a batch atomically; consume it with a group, at least once."""

import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import structlog
from google.protobuf.message import Message
from prometheus_client import Counter, Histogram
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from servicekit.event_consumer import DATA, TRACEPARENT, TYPE
from servicekit.event_consumer import LONGEST_BLOCK as LONGEST_BLOCK
from servicekit.event_consumer import Event as Event
from servicekit.event_consumer import EventConsumer as EventConsumer
from servicekit.stream_groups import entry_order as entry_order
from servicekit.stream_room import EventStreamFull as EventStreamFull
from servicekit.stream_room import EventStreamUnavailable as EventStreamUnavailable
from servicekit.stream_room import StreamRoom, stream_away, stream_full
from servicekit.telemetry import current_traceparent

_log = structlog.get_logger(__name__)

FAILURES = Counter(
    "weir_events_publish_failures_total",
    "Messages that their publisher could not append, by the code that it raised.",
    ["stream", "code"],
)
PUBLISHED = Counter(
    "weir_events_published_total", "Messages that were appended and acknowledged.", ["stream"]
)
SECONDS = Histogram(
    "weir_events_publish_seconds",
    "Time until Redis acknowledged the messages that were appended together, seconds.",
    ["stream"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


def entry_fields(message: Message, traceparent: str = "") -> dict[Any, Any]:
    """A message as the fields of a stream's entry, for those who append it in a transaction."""
    return {
        TYPE: message.DESCRIPTOR.full_name.encode(),
        DATA: message.SerializeToString(),
        TRACEPARENT: (traceparent or current_traceparent()).encode(),
    }


class EventPublisher:
    """Appends messages to streams.

    Args:
        reserve: share of Redis's memory that it leaves free, so that consumers can catch up; a
            consumer that publishes leaves none.
    """

    def __init__(self, redis: Redis, *, reserve: float = 0.0) -> None:
        self._redis = redis
        self._room = StreamRoom(redis, reserve=reserve)
        self._failing = ""

    async def publish(
        self, stream: str, messages: Sequence[Message], *, traceparents: Sequence[str] = ()
    ) -> None:
        """Appends all of the messages, or none, in one round trip; returns once acknowledged.

        Args:
            traceparents: the trace that each message belongs to; the running one by default, also
                where one is empty.

        Raises:
            EventStreamFull: Redis has no memory to spare; nothing was appended.
            EventStreamUnavailable: Redis is away, too slow or cannot write its disk. When the
                answer was lost on the way the messages may be there all the same.
        """
        began = time.perf_counter()
        published, seconds = _series(stream)
        try:
            await self._room.claim()
            await self._append(stream, messages, traceparents or [""] * len(messages))
        except EventStreamUnavailable as error:
            FAILURES.labels(stream, error.code).inc(len(messages))
            if self._failing != error.code:
                self._failing = error.code
                cause = type(error.__cause__).__name__ if error.__cause__ else ""
                _log.warning("publish_failed", stream=stream, code=error.code, error=cause)
            raise
        published.inc(len(messages))
        seconds.observe(time.perf_counter() - began)
        if self._failing:
            self._failing = ""
            _log.info("publish_recovered", stream=stream)

    async def check(self) -> None:
        """Returns if messages could be published now; raises as `publish` does."""
        await self._room.look()

    async def _append(
        self, stream: str, messages: Sequence[Message], traceparents: Sequence[str]
    ) -> None:
        own = current_traceparent()
        async with self._redis.pipeline(transaction=True) as pipeline:
            for message, traceparent in zip(messages, traceparents, strict=True):
                pipeline.xadd(stream, entry_fields(message, traceparent or own))
            try:
                await pipeline.execute()
            except OutOfMemoryError as error:
                self._room.found_full()
                raise stream_full() from error
            except (RedisError, OSError) as error:
                raise stream_away() from error


@cache
def _series(stream: str) -> tuple[Counter, Histogram]:
    """The children of a stream; looking them up anew costs more than counting."""
    for code in (EventStreamUnavailable.reason, EventStreamFull.reason):
        FAILURES.labels(stream, code)
    return PUBLISHED.labels(stream), SECONDS.labels(stream)
