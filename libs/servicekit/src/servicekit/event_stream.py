"""Facts over Redis Streams: append a batch atomically; consume it with a group, at least once."""

import asyncio
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import structlog
from google.protobuf.message import Message
from prometheus_client import Counter, Histogram
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from servicekit.event_consumer import DATA, TRACEPARENT, TYPE
from servicekit.event_consumer import LONGEST_BLOCK as LONGEST_BLOCK
from servicekit.event_consumer import Event as Event
from servicekit.event_consumer import EventConsumer as EventConsumer
from servicekit.redis_exchange import Answer, Command, RedisExchange
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
        redis: its socket timeout is the longest wait for an acknowledgement.
        reserve: share of Redis's memory that it leaves free, so that consumers can catch up; a
            consumer that publishes leaves none.
    """

    def __init__(self, redis: Redis, *, reserve: float = 0.0) -> None:
        self._exchange = RedisExchange(redis)
        self._timeout = redis.get_connection_kwargs().get("socket_timeout")
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
        commands = [
            _addition(stream, message, traceparent or own)
            for message, traceparent in zip(messages, traceparents, strict=True)
        ]
        if len(commands) > 1:
            commands = [("MULTI",), *commands, ("EXEC",)]
        try:
            async with asyncio.timeout(self._timeout):
                answers = await self._exchange.answers(commands)
        except (RedisError, OSError) as error:
            raise stream_away() from error
        self._raise_refusal(answers)

    def _raise_refusal(self, answers: Sequence[Answer]) -> None:
        # Of a transaction, EXEC's answer holds those of its commands.
        of_all = [*answers, *(answers[-1] if isinstance(answers[-1], list) else ())]
        refusals = [answer for answer in of_all if isinstance(answer, ResponseError)]
        for refusal in refusals:
            if isinstance(refusal, OutOfMemoryError):
                self._room.found_full()
                raise stream_full() from refusal
        for refusal in refusals:
            raise stream_away() from refusal


def _addition(stream: str, message: Message, traceparent: str) -> Command:
    fields = entry_fields(message, traceparent)
    return ("XADD", stream, "*", *(part for field in fields.items() for part in field))


@cache
def _series(stream: str) -> tuple[Counter, Histogram]:
    """The children of a stream; looking them up anew costs more than counting."""
    for code in (EventStreamUnavailable.reason, EventStreamFull.reason):
        FAILURES.labels(stream, code)
    return PUBLISHED.labels(stream), SECONDS.labels(stream)
