"""Turns the batches of one stream into rows; poison goes aside and never stops the others."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge, Histogram

from prediction_log.domain import MAX_LABEL, DeadLetter, PredictionRecord, Record
from prediction_log.errors import PoisonEvent, RejectedData
from prediction_log.event_decoding import Decode
from prediction_log.insert_spans import InsertSpans
from prediction_log.private_parts import UNOPENED, PrivateParts, shut
from prediction_log.record_store import RecordStore
from prediction_log.subject_keys import SubjectKeysUnusable
from servicekit.event_stream import Event, entry_order

_log = structlog.get_logger(__name__)

ROWS = Counter(
    "weir_prediction_log_rows_total",
    "Rows taken from events: written, or duplicate where they were there already.",
    ["stream", "outcome"],
)
DEAD = Counter(
    "weir_prediction_log_dead_letters_total", "Events that can never become rows.", ["stream"]
)
BATCH = Histogram(
    "weir_prediction_log_batch_entries",
    "Events in a batch.",
    ["stream"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
)
SECONDS = Histogram(
    "weir_prediction_log_batch_seconds",
    "Spent on a batch until its commit, seconds; not the wait for the batch before it.",
    ["stream"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
NEWEST = Gauge(
    "weir_prediction_log_newest_written_timestamp_seconds",
    "When the newest event that was written had been published, seconds since the epoch.",
    ["stream"],
)
MAX_KEPT_BYTES = 1024 * 1024
"""Of an event that goes to the dead letters."""
_SLICE = 200
"""Events that are decoded at one go, some milliseconds: queries are answered in between."""


@dataclass(slots=True)
class _Decoded:
    event: Event
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch that only has to be written."""

    events: Sequence[Event]
    decoded: list[_Decoded]
    dead: list[DeadLetter]
    seconds: float
    """That it took to prepare."""


class Recorder:
    """The handler of one stream's batches."""

    def __init__(
        self,
        stream: str,
        decode: Decode,
        store: RecordStore,
        spans: InsertSpans,
        private_parts: PrivateParts | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._stream = stream
        self._decode = decode
        self._store = store
        self._spans = spans
        self._private_parts = private_parts or PrivateParts(None)
        self._clock_ns = clock_ns
        DEAD.labels(stream)
        for outcome in ("written", "duplicate"):
            ROWS.labels(stream, outcome)

    async def record(self, events: Sequence[Event]) -> None:
        """Returns once every event is a committed row or a committed dead letter.

        Raises:
            LogStoreUnavailable: try the same events again later.
        """
        await self.write(await self.prepare(events))

    async def prepare(self, events: Sequence[Event]) -> Prepared:
        """Decodes a batch and opens what is sealed; the event loop gets its turns meanwhile."""
        began = time.perf_counter()
        decoded: list[_Decoded] = []
        dead: list[DeadLetter] = []
        for number, event in enumerate(events):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            try:
                decoded.append(_Decoded(event, self._decode(event)))
            except PoisonEvent as error:
                dead.append(self._dead_letter(event, str(error)))
        dead += await self._open(decoded)
        return Prepared(events, decoded, dead, time.perf_counter() - began)

    async def write(self, batch: Prepared) -> None:
        """Returns once every event is a committed row or a committed dead letter.

        Raises:
            LogStoreUnavailable: try the same events again later.
        """
        began = time.perf_counter()
        dead = [*batch.dead, *await self._write(batch.decoded)]
        if dead:
            await self._store.insert(dead)
            DEAD.labels(self._stream).inc(len(dead))
            _log.error(
                "dead_letters",
                stream=self._stream,
                events=len(dead),
                first_entry=dead[0].entry_id,
                first_reason=dead[0].reason,
            )
        BATCH.labels(self._stream).observe(len(batch.events))
        SECONDS.labels(self._stream).observe(batch.seconds + time.perf_counter() - began)
        NEWEST.labels(self._stream).set(entry_order(batch.events[-1].entry_id)[0] / 1000)

    async def _open(self, batch: list[_Decoded]) -> list[DeadLetter]:
        """Opens, in place, what is sealed; what stays shut goes aside, its row does not."""
        sealed = [
            (place, record)
            for place, decoded in enumerate(batch)
            for record in decoded.records
            if isinstance(record, PredictionRecord) and record.input_unopened
        ]
        if not sealed:
            return []
        opened = await self._private_parts.open(
            [(batch[place].event.data, record) for place, record in sealed]
        )
        dead = []
        for (place, _), result in zip(sealed, opened, strict=True):
            event = batch[place].event
            if isinstance(result, PredictionRecord):
                batch[place] = _Decoded(event, [result])
            else:
                dead.append(self._dead_letter(event, str(result)))
        return dead

    async def _write(self, batch: list[_Decoded]) -> list[DeadLetter]:
        """Writes the batch; halves it again and again to find what the database refuses."""
        records = [record for decoded in batch for record in decoded.records]
        began = self._clock_ns()
        try:
            written = await self._store.insert(records)
        except RejectedData as error:
            if len(batch) == 1:
                return [self._dead_letter(batch[0].event, str(error))]
            middle = len(batch) // 2
            return [*await self._write(batch[:middle]), *await self._write(batch[middle:])]
        except SubjectKeysUnusable as error:
            # The batch itself stays as it was: it may have to be written once more.
            remaining, dead = self._shut(batch, error)
            return [*dead, *await self._write(remaining)]
        self._spans.add([decoded.event for decoded in batch], began, self._clock_ns())
        ROWS.labels(self._stream, "written").inc(written)
        ROWS.labels(self._stream, "duplicate").inc(len(records) - written)
        return []

    def _shut(
        self, batch: Sequence[_Decoded], error: SubjectKeysUnusable
    ) -> tuple[list[_Decoded], list[DeadLetter]]:
        """The batch without what cannot be encrypted now, and that."""
        remaining, dead = list(batch), []
        for place, decoded in enumerate(batch):
            for record in decoded.records:
                if isinstance(record, PredictionRecord) and error.concerns(record):
                    remaining[place] = _Decoded(decoded.event, [shut(record)])
                    dead.append(self._dead_letter(decoded.event, str(error)))
        UNOPENED.inc(len(dead))
        return remaining, dead

    def _dead_letter(self, event: Event, reason: str) -> DeadLetter:
        if len(event.data) > MAX_KEPT_BYTES:
            reason = f"{reason}; kept {MAX_KEPT_BYTES} of {len(event.data)} bytes"
        return DeadLetter(
            stream=self._stream,
            entry_id=event.entry_id,
            type_name=event.type_name.replace("\0", "")[:MAX_LABEL],
            data=event.data[:MAX_KEPT_BYTES],
            reason=reason,
        )
