"""Facts over Redis Streams: append a batch atomically, consume it with a group, at least once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from google.protobuf.message import Message
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from servicekit.stream_groups import entry_order as entry_order
from servicekit.stream_groups import groups_of, text_of
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
CONSUME_FAILURES = Counter(
    "weir_events_consume_failures_total",
    "Tries to read or handle a batch that failed; each batch is tried until it succeeds.",
    ["stream", "group", "error"],
)

_TYPE, _DATA, _TRACEPARENT = b"type", b"data", b"traceparent"
_LONGEST_PAUSE = 2.0
"""Seconds between two tries: as long as that after its end an outage may still be felt."""
_ENTRY = tuple[bytes, dict[bytes, bytes] | None]


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a stream."""

    entry_id: str
    """`<milliseconds>-<sequence>`; ascends within the stream."""
    type_name: str
    """Full name of the protobuf message."""
    data: bytes
    """The message, serialised."""
    traceparent: str
    """W3C trace context of the publisher; empty when it had none."""


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

    async def publish(self, stream: str, messages: Sequence[Message]) -> None:
        """Appends all of the messages, or none, in one round trip; returns once acknowledged.

        Raises:
            EventStreamFull: Redis has no memory to spare; nothing was appended.
            EventStreamUnavailable: Redis is away, too slow or cannot write its disk. When the
                answer was lost on the way the messages may be there all the same.
        """
        try:
            await self._room.claim()
            await self._append(stream, messages)
        except EventStreamUnavailable as error:
            FAILURES.labels(stream, error.code).inc(len(messages))
            if self._failing != error.code:
                self._failing = error.code
                cause = type(error.__cause__).__name__ if error.__cause__ else ""
                _log.warning("publish_failed", stream=stream, code=error.code, error=cause)
            raise
        if self._failing:
            self._failing = ""
            _log.info("publish_recovered", stream=stream)

    async def check(self) -> None:
        """Returns if messages could be published now; raises as `publish` does."""
        await self._room.look()

    async def _append(self, stream: str, messages: Sequence[Message]) -> None:
        traceparent = current_traceparent().encode()
        async with self._redis.pipeline(transaction=True) as pipeline:
            for message in messages:
                pipeline.xadd(
                    stream,
                    {
                        _TYPE: message.DESCRIPTOR.full_name.encode(),
                        _DATA: message.SerializeToString(),
                        _TRACEPARENT: traceparent,
                    },
                )
            try:
                await pipeline.execute()
            except OutOfMemoryError as error:
                self._room.found_full()
                raise stream_full() from error
            except (RedisError, OSError) as error:
                raise stream_away() from error


class EventConsumer:
    """One member of a consumer group on one stream.

    Entries come in order, in batches. A batch is acknowledged after `handle` returned, so a crash
    brings it again: handlers must be idempotent. At the start it takes up what it had not
    acknowledged under its name; what another member held longer than `claim_after` seconds it
    takes over.

    Args:
        redis: a client whose socket timeout is longer than `block`.
        consumer: unique within the group and the same after a restart.
        block: longest wait for new entries, seconds.
        gather: seconds to wait after a batch that was not full, so that under a steady trickle the
            next one holds more than one entry.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        stream: str,
        group: str,
        consumer: str,
        batch_size: int = 500,
        block: float = 1.0,
        claim_after: float = 60.0,
        gather: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._batch_size = batch_size
        self._block_ms = int(block * 1000)
        self._claim_after = claim_after
        self._gather = gather
        self._clock = clock
        self._next_claim = 0.0
        self._own_pending = True
        self._group_ready = False

    async def run(self, handle: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        """Consumes until cancelled.

        When Redis or the handler fails the same entries are tried again, with growing pauses; a
        failure is logged when it begins, when its kind changes and when it is over.
        """
        pause = 0.0
        failure = ""
        while not _cancellation_was_dropped():
            try:
                handled = await self.consume_once(handle)
                if failure:
                    _log.info("consume_recovered", stream=self._stream, group=self._group)
                pause, failure = 0.0, ""
                if 0 < handled < self._batch_size:
                    await asyncio.sleep(self._gather)
            except Exception as error:
                if _lost_group(error):
                    self._group_ready = False
                self._own_pending = True
                pause = min(max(pause * 2, 0.1), _LONGEST_PAUSE)
                kind = type(error).__name__
                CONSUME_FAILURES.labels(self._stream, self._group, kind).inc()
                if kind != failure:
                    failure = kind
                    _log.warning(
                        "consume_failed",
                        stream=self._stream,
                        group=self._group,
                        error=failure,
                        detail="" if isinstance(error, RedisError) else str(error),
                    )
                await asyncio.sleep(pause)

    async def consume_once(self, handle: Callable[[Sequence[Event]], Awaitable[None]]) -> int:
        """Reads one batch, handles and acknowledges it; returns the number of entries."""
        await self._ensure_group()
        entries = await self._read()
        # An entry that was trimmed away while it was pending comes without its fields.
        events = [_event(entry_id, fields) for entry_id, fields in entries if fields]
        if events:
            await handle(events)
        if entries:
            await self._redis.xack(
                self._stream, self._group, *(entry_id for entry_id, _ in entries)
            )
        return len(events)

    async def _ensure_group(self) -> None:
        if self._group_ready:
            return
        # Asked first: a Redis whose memory is full refuses to make even a group that it has.
        if self._group not in await groups_of(self._redis, self._stream):
            try:
                await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        self._group_ready = True

    async def _read(self) -> list[_ENTRY]:
        if self._own_pending:
            entries = await self._read_group("0", block=None)
            if entries:
                return entries
            self._own_pending = False
        if self._clock() >= self._next_claim:
            entries = await self._claim()
            if entries:
                return entries
            self._next_claim = self._clock() + self._claim_after / 2
        return await self._read_group(">", block=self._block_ms)

    async def _read_group(self, after: str, block: int | None) -> list[_ENTRY]:
        answer: Any = await self._redis.xreadgroup(
            self._group, self._consumer, {self._stream: after}, count=self._batch_size, block=block
        )
        if not answer:
            return []
        streams = answer.values() if isinstance(answer, dict) else [e for _, e in answer]
        (entries,) = streams
        return list(entries)

    async def _claim(self) -> list[_ENTRY]:
        answer: Any = await self._redis.xautoclaim(
            self._stream,
            self._group,
            self._consumer,
            min_idle_time=int(self._claim_after * 1000),
            count=self._batch_size,
        )
        return [entry for entry in answer[1] if entry[0] is not None]


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> Event:
    return Event(
        entry_id=text_of(entry_id),
        type_name=text_of(fields.get(_TYPE, b"")),
        data=fields.get(_DATA, b""),
        traceparent=text_of(fields.get(_TRACEPARENT, b"")),
    )


def _cancellation_was_dropped() -> bool:
    """Whether this task was cancelled and goes on all the same.

    In Python 3.11 `asyncio.wait_for`, which redis-py sends every command with, drops a cancellation
    that arrives as the send completes (python/cpython#86296).
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _lost_group(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "NOGROUP" in str(error)
