"""Applies predictions and feedback to the windows, each exactly once.

A batch is applied in one transaction that also stores the last applied entry, and acknowledged
afterwards. So an entry that comes again, after a crash or from a replica that was cut off, is at or
below that position and skipped. Measurements are published before the transaction commits, under
ids that a repetition gives again: consumers see a window twice rather than never, and know it.

What is not recognised is a publisher's repetition: one prediction in two entries counts twice.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import prometheus_client
import structlog

from drift.domain import FeedbackFacts, ModelVersion, PredictionFacts
from drift.event_converters import EventInvalid, from_measurement, to_feedback, to_prediction
from drift.measurement import Measurement, Measurer
from drift.state_store import NEVER, StateStore, Versions, newest_first
from drift.version_state import VersionState
from servicekit.event_stream import Event, EventPublisher, entry_order

_log = structlog.get_logger(__name__)

GROUP = "drift"
CONSUMER = "drift"
"""The same in every replica, so that each is handed what another one left. Under names of their
own, entries of a replica that is gone would come a minute after the newer ones, and be skipped."""
BATCH_SIZE = 500

APPLIED = prometheus_client.Counter(
    "weir_drift_events_applied_total", "Events that the windows or counts hold.", ["stream"]
)
SKIPPED = prometheus_client.Counter(
    "weir_drift_events_skipped_total", "Events that made no sense.", ["stream", "reason"]
)
CLOSED = prometheus_client.Counter("weir_drift_windows_closed_total", "Windows that were filled.")

FactT = TypeVar("FactT", PredictionFacts, FeedbackFacts)


class EarlierEntriesHeld(Exception):
    """A replica holds earlier entries of the stream; the next try gets them, too."""


@dataclass(slots=True)
class _Batch:
    versions: Versions
    states: dict[ModelVersion, VersionState] = field(default_factory=dict)
    closed: int = 0
    measurements: list[Measurement] = field(default_factory=list)


class Monitor:
    """Handles batches of the prediction streams and of the feedback stream.

    Args:
        window_rows: rows at which a window that begins now will close.
        kept_versions: model versions of which state is kept.
    """

    def __init__(
        self,
        store: StateStore,
        publisher: EventPublisher,
        measurer: Measurer,
        *,
        measurements_stream: str,
        window_rows: int,
        kept_versions: int,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._measurer = measurer
        self._measurements_stream = measurements_stream
        self._window_rows = window_rows
        self._kept_versions = kept_versions
        self._one_at_a_time = asyncio.Lock()

    async def take_predictions(self, stream: str, events: Sequence[Event]) -> None:
        """Applies a batch of PredictionRecorded.

        Raises:
            StateUnavailable, EventStreamUnavailable: Redis is away; nothing was applied.
            StateConflict, EarlierEntriesHeld: another replica is at work; nothing was applied.
        """
        await self._take(stream, events, to_prediction, self._fold_prediction)

    async def take_feedback(self, stream: str, events: Sequence[Event]) -> None:
        """Counts a batch of FeedbackRecorded; raises as `take_predictions` does."""
        await self._take(stream, events, to_feedback, _fold_feedback)

    async def _take(
        self,
        stream: str,
        events: Sequence[Event],
        convert: Callable[[Event], FactT | None],
        fold: Callable[[_Batch, str, FactT], None],
    ) -> None:
        async with self._one_at_a_time, self._store.transaction() as transaction:
            position = await transaction.position(stream)
            fresh = [e for e in events if entry_order(e.entry_id) > entry_order(position)]
            if not fresh:
                return
            if await transaction.is_held(stream, GROUP, position, fresh[0].entry_id):
                raise EarlierEntriesHeld("another replica holds earlier entries")
            facts, skipped = _read(fresh, convert)
            batch = _Batch(await transaction.versions())
            for entry_id, fact in facts:
                if fact.about not in batch.states:
                    batch.states[fact.about] = await transaction.load(fact.about)
                fold(batch, entry_id, fact)
            forgotten = self._forget_oldest(batch)
            if batch.measurements:
                measured = [from_measurement(measurement) for measurement in batch.measurements]
                await self._publisher.publish(self._measurements_stream, measured)
            await transaction.store(
                stream, fresh[-1].entry_id, batch.versions, batch.states, forgotten
            )
        _account(stream, len(facts), skipped, batch.closed)

    def _fold_prediction(self, batch: _Batch, entry_id: str, prediction: PredictionFacts) -> None:
        about = prediction.about
        batch.versions[about] = entry_id
        closed = batch.states[about].add(prediction, self._window_rows)
        if closed is None:
            return
        batch.closed += 1
        measurement = self._measurer.measure(about, closed, entry_id)
        if measurement is not None:
            batch.measurements.append(measurement)

    def _forget_oldest(self, batch: _Batch) -> Sequence[ModelVersion]:
        forgotten = newest_first(batch.versions)[self._kept_versions :]
        for version in forgotten:
            del batch.versions[version]
            batch.states.pop(version, None)
            _log.warning("version_forgotten", model=version.model, version=version.version)
        return forgotten


def _fold_feedback(batch: _Batch, entry_id: str, feedback: FeedbackFacts) -> None:
    batch.versions.setdefault(feedback.about, NEVER)
    batch.states[feedback.about].feedback.add(feedback)


def _read(
    events: Sequence[Event], convert: Callable[[Event], FactT | None]
) -> tuple[list[tuple[str, FactT]], Counter[str]]:
    facts: list[tuple[str, FactT]] = []
    skipped: Counter[str] = Counter()
    for event in events:
        try:
            fact = convert(event)
        except EventInvalid as error:
            skipped[str(error)] += 1
            continue
        if fact is not None:
            facts.append((event.entry_id, fact))
    return facts, skipped


def _account(stream: str, applied: int, skipped: Counter[str], closed: int) -> None:
    APPLIED.labels(stream).inc(applied)
    CLOSED.inc(closed)
    for reason, count in skipped.items():
        SKIPPED.labels(stream, reason).inc(count)
    if skipped:
        _log.warning("events_skipped", stream=stream, reasons=dict(skipped))
