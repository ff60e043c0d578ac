"""Takes predictions that were made elsewhere: checks each like an event and publishes it as one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import TypeVar
from uuid import UUID

from prometheus_client import Counter

from prediction_log.errors import AppendIdle, AppendsFull, PoisonEvent
from prediction_log.event_decoding import prediction_records
from servicekit.event_stream import EventPublisher
from servicekit.identifiers import LATEST_MILLISECOND
from weir.events.v1 import events_pb2

MessageT = TypeVar("MessageT")
RECORDS = Counter(
    "weir_prediction_log_appended_total",
    "Records that came by Append: accepted, or rejected for breaking a rule.",
    ["outcome"],
)
for _outcome in ("accepted", "rejected"):
    RECORDS.labels(_outcome)
_SLICE_RECORDS = 500
_SLICE_BYTES = 1024 * 1024
"""Of one round trip to the event stream. The caller's next message waits until it is done."""
_MAX_REJECTIONS = 100


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that was not taken, by its place in the call from 0, and why."""

    index: int
    reason: str


@dataclass(slots=True)
class Appended:
    """What became of a call's records."""

    accepted: int = 0
    """All of them are on the event stream."""
    rejected: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    """The first hundred."""


class Appender:
    """Publishes what callers predicted elsewhere.

    Args:
        streams: of predictions; slices go to them in turn.
        id_at: makes a UUIDv7 of a moment, milliseconds since the epoch, for records without one.
        max_calls: how many may go on at a time, since each holds a slice in memory.
        longest_wait: for a caller's next message, seconds: who sends nothing gives its place up.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        streams: Sequence[str],
        id_at: Callable[[int], UUID],
        *,
        max_calls: int,
        longest_wait: float,
    ) -> None:
        self._publisher = publisher
        self._streams = cycle(streams)
        self._id_at = id_at
        self._free = max_calls
        self._longest_wait = longest_wait

    @contextmanager
    def begin(self) -> Iterator["Appending"]:
        """One caller's records, from first to last.

        Raises:
            AppendsFull: too many are at it already.
        """
        if not self._free:
            raise AppendsFull("Too many callers are appending.", retry_after=1.0)
        self._free -= 1
        try:
            yield Appending(self._publisher, self._streams, self._id_at)
        finally:
            self._free += 1

    async def awaited(self, messages: AsyncIterator[MessageT]) -> AsyncIterator[MessageT]:
        """The messages of one caller as they come.

        Raises:
            AppendIdle: the next one did not come in time.
        """
        while True:
            try:
                async with asyncio.timeout(self._longest_wait):
                    message = await anext(messages)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise AppendIdle("No further record came; append the rest anew.") from error
            yield message


class Appending:
    """Collects one caller's records into slices and publishes those."""

    def __init__(
        self,
        publisher: EventPublisher,
        streams: Iterator[str],
        id_at: Callable[[int], UUID],
    ) -> None:
        self._publisher = publisher
        self._streams = streams
        self._id_at = id_at
        self._slice: list[events_pb2.PredictionRecorded] = []
        self._bytes = 0
        self._done = Appended()
        self._seen = 0

    async def add(self, facts: Iterable[events_pb2.PredictionRecorded]) -> None:
        """Takes further records; those without an id get one.

        Raises:
            EventStreamUnavailable: some of them, and of those before, were not taken.
        """
        for fact in facts:
            try:
                self._check(fact)
            except PoisonEvent as error:
                self._reject(str(error))
            else:
                await self._put(fact)
            self._seen += 1

    async def finish(self) -> Appended:
        """Returns once all that was accepted is on the stream.

        Raises:
            EventStreamUnavailable: some of it is not.
        """
        await self._publish()
        return self._done

    def _check(self, fact: events_pb2.PredictionRecorded) -> None:
        if not fact.prediction_id:
            moment = fact.predicted_at.seconds * 1000 + fact.predicted_at.nanos // 1_000_000
            if not 0 <= moment < LATEST_MILLISECOND:
                raise PoisonEvent("predicted_at is out of range")
            fact.prediction_id = str(self._id_at(moment))
        (record,) = prediction_records(fact)
        # Other consumers compare it as text.
        fact.prediction_id = str(record.id)

    def _reject(self, reason: str) -> None:
        self._done.rejected += 1
        RECORDS.labels("rejected").inc()
        if len(self._done.rejections) < _MAX_REJECTIONS:
            self._done.rejections.append(Rejection(self._seen, reason))

    async def _put(self, fact: events_pb2.PredictionRecorded) -> None:
        size = fact.ByteSize()
        if len(self._slice) == _SLICE_RECORDS or self._bytes + size > _SLICE_BYTES:
            await self._publish()
        self._slice.append(fact)
        self._bytes += size

    async def _publish(self) -> None:
        if not self._slice:
            return
        await self._publisher.publish(next(self._streams), self._slice)
        self._done.accepted += len(self._slice)
        RECORDS.labels("accepted").inc(len(self._slice))
        self._slice, self._bytes = [], 0
