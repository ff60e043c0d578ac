"""Applies predictions and feedback to the windows, each exactly once.

A batch is applied in one transaction that also stores the last applied entry, and acknowledged
afterwards. So an entry that comes again, after a crash or from a replica that was cut off, is at or
below that position and skipped. Measurements and changes of incidents are appended to their streams
by the same transaction: whatever breaks, they are told once, and never of a window that was not.

A publisher's repetition, one prediction in two entries, counts once, too, as long as not thousands
of others came between them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from drift.batch_accounts import account
from drift.batch_changes import Batch
from drift.break_incidents import on_break
from drift.break_watch import FEEDBACK_ERROR, BreakWatch
from drift.domain import FeedbackFacts, ModelVersion, Population, PredictionFacts
from drift.event_converters import to_feedback, to_prediction
from drift.fact_batches import Facts, FactT, appended_at, by_version, read_facts
from drift.incidents import close_all
from drift.leases import Lease
from drift.measurement import Measurer
from drift.signals import CONFIDENCE
from drift.state_store import StateStore
from drift.state_transaction import NEVER, newest_first
from drift.tenant_windows import TenantWindows
from drift.version_state import VersionState, WindowSize
from drift.window_closing import WindowCloser
from servicekit.event_stream import Event, entry_order
from servicekit.identifiers import new_id

_log = structlog.get_logger(__name__)

GROUP = "drift"
CONSUMER = "drift"
"""The same in every replica, so that each is handed what another one left. Under names of their
own, entries of a replica that is gone would come a minute after the newer ones, and be skipped."""
BATCH_SIZE = 5000
"""Each batch stores the windows that it changed, some hundred KB each."""


class EarlierEntriesHeld(Exception):
    """A replica holds earlier entries of the stream; the next try gets them, too."""


class Monitor:
    """Handles batches of the prediction streams and of the feedback stream.

    Args:
        breaks: looks for sudden ones.
        window_size: of a window that begins now.
        kept_versions: model versions of which state is kept.
        kept_windows: closed windows of each that are kept.
        tenants: of each that have windows of their own at most; 0 for none.
        kept_tenant_windows: closed windows of each tenant that are kept.
    """

    def __init__(
        self,
        store: StateStore,
        measurer: Measurer,
        breaks: BreakWatch,
        *,
        measurements_stream: str,
        incidents_stream: str,
        window_size: WindowSize,
        kept_versions: int,
        clock: Callable[[], datetime],
        kept_windows: int = 24,
        tenants: int = 0,
        kept_tenant_windows: int = 6,
    ) -> None:
        self._store = store
        self._measurer = measurer
        self._breaks = breaks
        self._window_size = window_size
        self._kept_versions = kept_versions
        self._clock = clock
        self._closer = WindowCloser(
            measurer,
            measurements_stream=measurements_stream,
            incidents_stream=incidents_stream,
            kept_windows=kept_windows,
            kept_tenant_windows=kept_tenant_windows,
            clock=clock,
        )
        self._tenants = TenantWindows(
            self._closer, most=tenants, window_size=window_size, clock=clock
        )
        self._one_at_a_time = asyncio.Lock()

    async def take_predictions(
        self, stream: str, events: Sequence[Event], lease: Lease | None = None
    ) -> None:
        """Applies a batch of PredictionRecorded.

        Args:
            lease: under which the stream is consumed.

        Raises:
            StateUnavailable: Redis is away or full; nothing was applied.
            StateConflict, EarlierEntriesHeld: another replica is at work; nothing was applied.
        """
        await self._take(stream, events, lease, to_prediction, self._fold_predictions)

    async def take_feedback(
        self, stream: str, events: Sequence[Event], lease: Lease | None = None
    ) -> None:
        """Counts a batch of FeedbackRecorded; as `take_predictions` else."""
        await self._take(stream, events, lease, to_feedback, self._fold_feedback)

    async def _take(
        self,
        stream: str,
        events: Sequence[Event],
        lease: Lease | None,
        convert: Callable[[Event], FactT | None],
        fold: Callable[[Batch, VersionState, Facts[FactT]], Awaitable[None]],
    ) -> None:
        async with self._one_at_a_time, self._store.transaction(lease) as transaction:
            position = await transaction.position(stream)
            fresh = [e for e in events if entry_order(e.entry_id) > entry_order(position)]
            if not fresh:
                return
            if await transaction.is_held(stream, GROUP, position, fresh[0].entry_id):
                raise EarlierEntriesHeld("another replica holds earlier entries")
            facts, skipped = read_facts(fresh, convert)
            batch = Batch(transaction, await transaction.versions())
            for about, of_version in by_version(facts).items():
                batch.states[about] = await transaction.load(about)
                await fold(batch, batch.states[about], of_version)
            forgotten = await self._forget_oldest(batch)
            for of, closed in batch.kept.items():
                await transaction.keep(of, closed, self._closer.most_kept(of))
            await transaction.store(
                stream,
                fresh[-1].entry_id,
                batch.versions,
                batch.states,
                forgotten,
                batch.told,
                batch.tenants,
                batch.dropped,
            )
        account(stream, len(facts), skipped, batch)

    async def _fold_predictions(
        self, batch: Batch, state: VersionState, facts: Facts[PredictionFacts]
    ) -> None:
        about = facts[0][1].about
        batch.versions[about] = facts[-1][0]
        fresh = [(entry, fact) for entry, fact in facts if state.recent.add(fact.prediction_id)]
        batch.repeated += len(facts) - len(fresh)
        labelled = [fact for _, fact in fresh if fact.label]
        await self._look_for_breaks(
            batch,
            about,
            state,
            CONFIDENCE.name,
            [fact.confidence for fact in labelled],
            [fact.predicted_at for fact in labelled],
        )
        while fresh:
            count = state.take([fact for _, fact in fresh], self._window_size)
            taken, fresh = fresh[:count], fresh[count:]
            await self._tenants.take(batch, about, state.tenants, taken)
            if state.open is None:
                await self._closer.close(batch, Population(about), state, taken[-1][0])
                await self._tenants.choose(batch, about, state.tenants)

    async def _look_for_breaks(
        self,
        batch: Batch,
        about: ModelVersion,
        state: VersionState,
        signal: str,
        values: Sequence[float],
        times: Sequence[datetime],
    ) -> None:
        reference = await self._measurer.reference(about)
        if reference is None or not values:
            return
        # To calibrate takes a second, once.
        limits = await asyncio.to_thread(self._breaks.limits, reference)
        state.standings, found = self._breaks.look(limits, state.standings, signal, values, times)
        for each in found:
            state.incidents, changes = on_break(
                state.incidents, each, tenant="", now=self._clock(), make_id=new_id
            )
            self._closer.tell(batch, about, changes)

    async def _fold_feedback(
        self, batch: Batch, state: VersionState, facts: Facts[FeedbackFacts]
    ) -> None:
        feedback = [fact for _, fact in facts]
        batch.versions.setdefault(feedback[0].about, NEVER)
        state.take_feedback(feedback, self._window_size)
        await self._tenants.take_feedback(batch, feedback[0].about, state.tenants, facts)
        await self._look_for_breaks(
            batch,
            feedback[0].about,
            state,
            FEEDBACK_ERROR,
            [float(not fact.agreed) for fact in feedback],
            [appended_at(entry) for entry, _ in facts],
        )

    async def _forget_oldest(self, batch: Batch) -> Sequence[ModelVersion]:
        forgotten = newest_first(batch.versions)[self._kept_versions :]
        for version in forgotten:
            del batch.versions[version]
            batch.states.pop(version, None)
            batch.kept.pop(Population(version), None)
            book = await batch.transaction.incidents(Population(version))
            self._closer.tell(batch, version, close_all(book, self._clock()))
            await self._tenants.forget(batch, version)
            _log.warning("version_forgotten", model=version.model, version=version.version)
        return forgotten
