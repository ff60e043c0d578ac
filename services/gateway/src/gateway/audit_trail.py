"""Tells the audit stream what a reviewer will ask about, without making anybody wait for it."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import Counter

from servicekit import request_context
from servicekit.event_stream import EventStreamUnavailable
from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2

_log = structlog.get_logger(__name__)

_BATCH = 100
_LONGEST_TEXT = 128
_LONGEST_PAUSE = 5.0
DROPPED = Counter("weir_audit_dropped_total", "Audit events lost because the queue was full.")


class Publisher(Protocol):
    """Appends messages to a stream."""

    async def publish(self, stream: str, messages: Sequence[Message]) -> None:
        """Appends all of them or none."""
        ...


class AuditTrail:
    """A bounded queue between those who record and the stream.

    An event that finds the queue full is dropped, counted and logged: the gateway goes on serving
    while the events Redis is away for longer than the queue lasts.
    """

    def __init__(self, publisher: Publisher, *, stream: str, capacity: int) -> None:
        self._publisher = publisher
        self._stream = stream
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
            reason: why it was refused, as a code; empty when it was allowed.
            target: what it was done to, where the action alone does not say.
        """
        outcome = events_pb2.AUDIT_OUTCOME_REFUSED if reason else events_pb2.AUDIT_OUTCOME_ALLOWED
        told = {
            "action": action,
            "client_id": client_id,
            "tenant": tenant,
            "client_address": client_address,
            "reason": reason,
            "target": target,
        }
        now = Timestamp()
        now.GetCurrentTime()
        event = events_pb2.AuditRecorded(
            event_id=str(new_id()),
            occurred_at=now,
            outcome=outcome,
            request_id=request_context.request_id.get(),
            **{name: _storable(text) for name, text in told.items()},
        )
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            DROPPED.inc()
            if not self._dropping:
                _log.error("audit_events_dropped", queue=self._queue.maxsize)
                self._dropping = True

    async def run(self) -> None:
        """Publishes until cancelled; while the stream is away the events wait in the queue."""
        while True:
            await self._publish(await self._next_batch())

    async def flush(self) -> None:
        """Publishes what is left, once; called when nothing records any more."""
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
        while len(batch) < _BATCH and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

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
    whole = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
    return whole.replace("\0", "?")
