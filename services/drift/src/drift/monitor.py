"""Applies predictions and feedback to the windows, each exactly once.

A batch is applied in one transaction that also stores the last applied entry, and acknowledged
afterwards. So an entry that comes again, after a crash or from a replica that was cut off, is at or
below that position and skipped. Measurements are published before the transaction commits, under
ids that a repetition gives again: consumers see a window twice rather than never, and know it.

A publisher's repetition, one prediction in two entries, counts once, too, as long as not thousands
of others came between them.
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
from drift.measurement import Measurement, Measurer, measurement_id
from drift.state_store import NEVER, StateStore, Versions, newest_first
from drift.version_state import VersionState, Window, WindowSize
from drift.window_history import KeptWindow, kept_window
from servicekit.event_stream import Event, EventPublisher, entry_order

_log = structlog.get_logger(__name__)

GROUP = "drift"
CONSUMER = "drift"
"""The same in every replica, so that each is handed what another one left. Under names of their
own, entries of a replica that is gone would come a minute after the newer ones, and be skipped."""
BATCH_SIZE = 5000
"""Each batch stores the windows that it changed, some hundred KB each."""

APPLIED = prometheus_client.Counter(
    "weir_drift_events_applied_total", "Events that the windows or counts hold.", ["stream"]
)
SKIPPED = prometheus_client.Counter(
    "weir_drift_events_skipped_total", "Events that made no sense.", ["stream", "reason"]
)
CLOSED = prometheus_client.Counter("weir_drift_windows_closed_total", "Windows that were filled.")

REPEATED = prometheus_client.Counter(
    "weir_drift_events_repeated_total", "Predictions that had been appended before.", ["stream"]
)

FactT = TypeVar("FactT", PredictionFacts, FeedbackFacts)
Facts = Sequence[tuple[str, FactT]]
"""Each with the entry that it came in."""


class EarlierEntriesHeld(Exception):
    """A replica holds earlier entries of the stream; the next try gets them, too."""


@dataclass(slots=True)
class _Batch:
    versions: Versions
    states: dict[ModelVersion, VersionState] = field(default_factory=dict)
    closed: int = 0
    repeated: int = 0
    measurements: list[Measurement] = field(default_factory=list)
    kept: dict[ModelVersion, list[KeptWindow]] = field(default_factory=dict)


class Monitor:
    """Handles batches of the prediction streams and of the feedback stream.

    Args:
        window_size: of a window that begins now.
        kept_versions: model versions of which state is kept.
        kept_windows: closed windows of each that are kept.
    """

    def __init__(
        self,
        store: StateStore,
        publisher: EventPublisher,
        measurer: Measurer,
        *,
        measurements_stream: str,
        window_size: WindowSize,
        kept_versions: int,
        kept_windows: int = 24,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._measurer = measurer
        self._measurements_stream = measurements_stream
        self._window_size = window_size
        self._kept_versions = kept_versions
        self._kept_windows = kept_windows
        self._one_at_a_time = asyncio.Lock()

    async def take_predictions(self, stream: str, events: Sequence[Event]) -> None:
        """Applies a batch of PredictionRecorded.

        Raises:
            StateUnavailable, EventStreamUnavailable: Redis is away; nothing was applied.
            StateConflict, EarlierEntriesHeld: another replica is at work; nothing was applied.
        """
        await self._take(stream, events, to_prediction, self._fold_predictions)

    async def take_feedback(self, stream: str, events: Sequence[Event]) -> None:
        """Counts a batch of FeedbackRecorded; raises as `take_predictions` does."""
        await self._take(stream, events, to_feedback, self._fold_feedback)

    async def _take(
        self,
        stream: str,
        events: Sequence[Event],
        convert: Callable[[Event], FactT | None],
        fold: Callable[[_Batch, VersionState, Facts[FactT]], None],
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
            for about, of_version in _by_version(facts).items():
                batch.states[about] = await transaction.load(about)
                fold(batch, batch.states[about], of_version)
            forgotten = self._forget_oldest(batch)
            for about, closed in batch.kept.items():
                if about in batch.states:
                    await transaction.keep(about, closed, self._kept_windows)
            if batch.measurements:
                measured = [from_measurement(measurement) for measurement in batch.measurements]
                await self._publisher.publish(self._measurements_stream, measured)
            await transaction.store(
                stream, fresh[-1].entry_id, batch.versions, batch.states, forgotten
            )
        _account(stream, len(facts), skipped, batch)

    def _fold_predictions(
        self, batch: _Batch, state: VersionState, facts: Facts[PredictionFacts]
    ) -> None:
        about = facts[0][1].about
        batch.versions[about] = facts[-1][0]
        fresh = [(entry, fact) for entry, fact in facts if state.recent.add(fact.prediction_id)]
        batch.repeated += len(facts) - len(fresh)
        while fresh:
            taken = state.take([fact for _, fact in fresh], self._window_size)
            entry_id = fresh[taken - 1][0]
            fresh = fresh[taken:]
            if state.open is not None or state.closed is None:
                continue
            batch.closed += 1
            measurement = self._measurer.measure(about, state.closed, entry_id)
            self._keep(batch, about, state.closed, entry_id, measurement)
            if measurement is not None:
                batch.measurements.append(measurement)

    def _keep(
        self,
        batch: _Batch,
        about: ModelVersion,
        window: Window,
        entry_id: str,
        measurement: Measurement | None,
    ) -> None:
        if window.last_predicted_at is None:
            return
        window_id = str(measurement_id(about, window.last_predicted_at, entry_id))
        kept = kept_window(window, window_id, measurement.drifted() if measurement else None)
        if kept is not None:
            # Those beyond the limit would be written to be taken away.
            of_version = [*batch.kept.get(about, ()), kept]
            batch.kept[about] = of_version[-self._kept_windows :] if self._kept_windows else []

    def _fold_feedback(
        self, batch: _Batch, state: VersionState, facts: Facts[FeedbackFacts]
    ) -> None:
        feedback = [fact for _, fact in facts]
        batch.versions.setdefault(feedback[0].about, NEVER)
        state.take_feedback(feedback, self._window_size)

    def _forget_oldest(self, batch: _Batch) -> Sequence[ModelVersion]:
        forgotten = newest_first(batch.versions)[self._kept_versions :]
        for version in forgotten:
            del batch.versions[version]
            batch.states.pop(version, None)
            _log.warning("version_forgotten", model=version.model, version=version.version)
        return forgotten


def _by_version(facts: Facts[FactT]) -> dict[ModelVersion, list[tuple[str, FactT]]]:
    found: dict[ModelVersion, list[tuple[str, FactT]]] = {}
    for entry_id, fact in facts:
        found.setdefault(fact.about, []).append((entry_id, fact))
    return found


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


def _account(stream: str, read: int, skipped: Counter[str], batch: _Batch) -> None:
    APPLIED.labels(stream).inc(read - batch.repeated)
    REPEATED.labels(stream).inc(batch.repeated)
    CLOSED.inc(batch.closed)
    for reason, count in skipped.items():
        SKIPPED.labels(stream, reason).inc(count)
    if skipped:
        _log.warning("events_skipped", stream=stream, reasons=dict(skipped))
