"""Facts from Redis Streams: a consumer group's member that takes batches, at least once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from servicekit.group_reader import Entry, GroupReader
from servicekit.lifecycle import cancellation_was_dropped, ended
from servicekit.stream_groups import text_of

_log = structlog.get_logger(__name__)

CONSUME_FAILURES = Counter(
    "weir_events_consume_failures_total",
    "Tries to read or handle a batch that failed; each batch is tried until it succeeds.",
    ["stream", "group", "error"],
)

TYPE, DATA, TRACEPARENT = b"type", b"data", b"traceparent"
"""Fields of an entry."""
_LONGEST_PAUSE = 2.0
"""Seconds between two tries: as long as that after its end an outage may still be felt."""
LONGEST_BLOCK = 2.0
"""Seconds that one read waits for new entries, which end it at once. No longer: every two seconds
members look for what others left."""
_CANCEL_AGAIN_AFTER = 1.0
_RELEASED_WITHIN = 0.5
PreparedT = TypeVar("PreparedT")


# Not frozen: making one would take three times as long, and thousands are made a second.
@dataclass(slots=True)
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


class EventConsumer:
    """One member of a consumer group on one stream.

    Entries come in order, in batches. A batch is acknowledged after it was handled, so a crash
    brings it again: handlers must be idempotent. At the start it takes up what it had not
    acknowledged under its name; what another member held longer than `claim_after` seconds it
    takes over.

    Args:
        redis: a client whose socket timeout is longer than `block`.
        consumer: unique within the group and the same after a restart.
        batch_size: most entries in a batch.
        batch_bytes: of a batch, about; see GroupReader.
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
        batch_bytes: int = 4 * 1024 * 1024,
        block: float = LONGEST_BLOCK,
        claim_after: float = 60.0,
        gather: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._group = group
        self._gather = gather
        self._reader = GroupReader(
            redis,
            stream=stream,
            group=group,
            consumer=consumer,
            batch_size=batch_size,
            batch_bytes=batch_bytes,
            block=block,
            claim_after=claim_after,
            clock=clock,
        )

    async def run(self, handle: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        """Consumes until cancelled, a batch at a time.

        When Redis or the handler fails the same entries are tried again, with growing pauses; a
        failure is logged when it begins, when its kind changes and when it is over.
        """

        async def step() -> None:
            if await self.consume_once(handle):
                await self._pause_for_more()

        try:
            await self._repeat(step)
        finally:
            await self._leave()

    async def run_ahead(
        self,
        prepare: Callable[[Sequence[Event]], Awaitable[PreparedT]],
        write: Callable[[PreparedT], Awaitable[None]],
    ) -> None:
        """The same in two steps: while a batch is written, the next one is read and prepared.

        Batches are written one after the other in their order, and acknowledged when they are.
        Two of them are in memory at most.
        """
        ahead = _OneAhead()

        async def step() -> None:
            taking_up = self._reader.takes_up
            if taking_up:
                # What is being written is not acknowledged yet and would come again.
                await ahead.done()
            entries = await self._reader.read()
            events = _events(entries)
            prepared = await prepare(events) if events else None

            async def finish() -> None:
                if prepared is not None:
                    await write(prepared)
                await self._reader.acknowledge(entries)

            if taking_up:
                # Not ahead: after a failure this is the try that tells whether it is over.
                await finish()
            else:
                await ahead.done()
                ahead.begin(finish())
            if entries:
                await self._pause_for_more()

        try:
            await self._repeat(step, ahead.abandon)
        finally:
            await ahead.abandon()
            await self._leave()

    async def consume_once(self, handle: Callable[[Sequence[Event]], Awaitable[None]]) -> int:
        """Reads one batch, handles and acknowledges it; returns the number of entries."""
        entries = await self._reader.read()
        if events := _events(entries):
            await handle(events)
        await self._reader.acknowledge(entries)
        return len(events)

    async def _repeat(
        self,
        step: Callable[[], Awaitable[None]],
        failed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        pause = 0.0
        failure = ""
        while not cancellation_was_dropped():
            try:
                await step()
                if failure:
                    _log.info("consume_recovered", stream=self._stream, group=self._group)
                pause, failure = 0.0, ""
            except Exception as error:
                if failed is not None:
                    await failed()
                self._reader.begin_anew(group_lost=_lost_group(error))
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

    async def _leave(self) -> None:
        """Hands over what was read and not handled, unless Redis is away or slow."""
        releasing = asyncio.create_task(self._reader.release())
        if not await ended(releasing, _RELEASED_WITHIN):
            releasing.cancel()
            await ended(releasing)
        if not releasing.cancelled():
            releasing.exception()

    async def _pause_for_more(self) -> None:
        if not self._reader.filled:
            await asyncio.sleep(self._gather)


class _OneAhead:
    """At most one piece of work that goes on beside its maker."""

    def __init__(self) -> None:
        self._work: asyncio.Task[None] | None = None

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts it; what was begun before must be done."""
        self._work = asyncio.create_task(work)

    async def done(self) -> None:
        """Returns when the work is done; raises what it raised, once."""
        if self._work is not None:
            work = self._work
            await asyncio.wait([work])
            self._work = None
            work.result()

    async def abandon(self) -> None:
        """Cancels the work and waits until it has ended, however."""
        while self._work is not None:
            # Once is not enough: see cancellation_was_dropped.
            self._work.cancel()
            ended, _ = await asyncio.wait([self._work], timeout=_CANCEL_AGAIN_AFTER)
            for work in ended:
                self._work = None
                if not work.cancelled():
                    work.exception()


def _events(entries: Sequence[Entry]) -> list[Event]:
    # An entry that was trimmed away while it was pending comes without its fields.
    return [_event(entry_id, fields) for entry_id, fields in entries if fields]


def _event(entry_id: bytes, fields: dict[bytes, bytes]) -> Event:
    return Event(
        entry_id=text_of(entry_id),
        type_name=text_of(fields.get(TYPE, b"")),
        data=fields.get(DATA, b""),
        traceparent=text_of(fields.get(TRACEPARENT, b"")),
    )


def _lost_group(error: Exception) -> bool:
    return isinstance(error, ResponseError) and "NOGROUP" in str(error)
