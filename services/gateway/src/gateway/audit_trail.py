"""Tells the audit stream what a reviewer will ask about, without making anybody wait for it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import structlog
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import Counter

from gateway.refusal_tally import Refusal, RefusalTally
from servicekit import request_context
from servicekit.event_stream import EventStreamUnavailable
from servicekit.identifiers import new_id
from servicekit.lifecycle import every, running_beside
from weir.events.v1 import events_pb2

_log = structlog.get_logger(__name__)

_BATCH = 100
_LONGEST_TEXT = 128
_LONGEST_PAUSE = 5.0
_GATHERED_FOR = 0.05
"""Seconds that the first event of a batch waits for others: an append of its own costs more than
all that was done before it is told."""
_TELLS_REPETITIONS_EVERY = 5.0
DROPPED = Counter("weir_audit_dropped_total", "Audit events lost because the queue was full.")


class Publisher(Protocol):
    """Appends messages to a stream."""

    async def publish(self, stream: str, messages: Sequence[Message]) -> None:
        """Appends all of them or none."""
        ...


class AuditTrail:
    """A bounded queue between those who record and the stream.

    An event that finds the queue full is dropped, counted and logged: the gateway goes on serving
    while the events Redis is away for longer than the queue lasts. Refusals that repeat are told
    as a number.
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        stream: str,
        capacity: int,
        refusals: RefusalTally | None = None,
    ) -> None:
        self._publisher = publisher
        self._stream = stream
        self._refusals = refusals or RefusalTally()
        self._queue: asyncio.Queue[events_pb2.AuditRecorded] = asyncio.Queue(capacity)
        self._dropping = False

    def record(
        self,
        action: str,
        *,
        client_id: str,
        tenant: str,
        client_address: str,
        reason: str = "",
        target: str = "",
    ) -> None:
        """Puts an event on its way and returns at once.

        Args:
            tenant: of a client that has proved who it is; empty for claims.
            reason: why it was refused, as a code; empty when it was allowed.
            target: what it was done to, where the action alone does not say.
        """
        told = Refusal(action, reason, client_address, client_id, tenant, target)
        if reason:
            news = self._refusals.news(told)
            if news is None:
                return
            told = news
        self._put(told, request_context.request_id.get())

    async def run(self) -> None:
        """Publishes until cancelled; while the stream is away the events wait in the queue."""
        async with running_beside(every(_TELLS_REPETITIONS_EVERY, self._tell_repetitions)):
            while True:
                await self._publish(await self._next_batch())

    async def flush(self) -> None:
        """Publishes what is left, once; called when nothing records any more."""
        for refusal, count in self._refusals.rest():
            self._put_repeated(refusal, count)
        left: list[events_pb2.AuditRecorded] = []
        while not self._queue.empty():
            left.append(self._queue.get_nowait())
        if left:
            try:
                await self._publisher.publish(self._stream, left)
            except EventStreamUnavailable:
                DROPPED.inc(len(left))
                _log.error("audit_events_dropped", lost=len(left))

    async def _next_batch(self) -> list[events_pb2.AuditRecorded]:
        batch = [await self._queue.get()]
        try:
            if self._queue.qsize() < _BATCH:
                await asyncio.sleep(_GATHERED_FOR)
        except asyncio.CancelledError:
            self._put_back(batch)
            raise
        while len(batch) < _BATCH and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    async def _tell_repetitions(self) -> None:
        for refusal, count in self._refusals.due():
            self._put_repeated(refusal, count)

    def _put_repeated(self, refusal: Refusal, count: int) -> None:
        target = f"{refusal.target[: _LONGEST_TEXT // 2]} ({count} more)".lstrip()
        self._put(refusal._replace(target=target), "")

    def _put(self, told: Refusal, request_id: str) -> None:
        refused, allowed = events_pb2.AUDIT_OUTCOME_REFUSED, events_pb2.AUDIT_OUTCOME_ALLOWED
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        event = events_pb2.AuditRecorded(
            event_id=str(new_id()),
            occurred_at=Timestamp(seconds=seconds, nanos=nanos),
            outcome=refused if told.reason else allowed,
            request_id=request_id,
            **{name: _storable(text) for name, text in told._asdict().items()},
        )
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            DROPPED.inc()
            if not self._dropping:
                _log.error("audit_events_dropped", queue=self._queue.maxsize)
                self._dropping = True

    async def _publish(self, batch: list[events_pb2.AuditRecorded]) -> None:
        pause = 0.0
        try:
            while True:
                try:
                    await self._publisher.publish(self._stream, batch)
                except EventStreamUnavailable:
                    pause = min(max(2 * pause, 0.1), _LONGEST_PAUSE)
                    await asyncio.sleep(pause)
                else:
                    break
        except asyncio.CancelledError:
            self._put_back(batch)
            raise
        if self._dropping:
            _log.info("audit_events_kept_again")
            self._dropping = False

    def _put_back(self, batch: list[events_pb2.AuditRecorded]) -> None:
        for event in batch:
            if not self._queue.full():
                self._queue.put_nowait(event)


def _storable(text: str) -> str:
    """What the log can write of a text that somebody sent: no event is lost over its words."""
    if text.isascii() and len(text) <= _LONGEST_TEXT and "\0" not in text:
        return text
    whole = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
    return whole.replace("\0", "?")
