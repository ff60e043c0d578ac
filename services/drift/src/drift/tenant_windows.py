"""Windows of the busiest tenants' own, beside those of all tenants together."""

from collections.abc import Callable, Collection
from datetime import datetime

from drift.batch_changes import Batch
from drift.busy_tenants import BusyTenants
from drift.domain import FeedbackFacts, ModelVersion, Population, PredictionFacts
from drift.fact_batches import Facts, FactT
from drift.incidents import close_all
from drift.version_state import WindowSize
from drift.window_closing import WindowCloser


class TenantWindows:
    """Fills them with what the windows of all tenants took.

    Args:
        most: tenants of a model version that have windows of their own; 0 for none.
    """

    def __init__(
        self,
        closer: WindowCloser,
        *,
        most: int,
        window_size: WindowSize,
        clock: Callable[[], datetime],
    ) -> None:
        self._closer = closer
        self._most = most
        self._window_size = window_size
        self._clock = clock

    async def take(
        self,
        batch: Batch,
        about: ModelVersion,
        busy: BusyTenants,
        predictions: Facts[PredictionFacts],
    ) -> None:
        """Counts predictions, and lets the tenants that were chosen have theirs."""
        if self._most:
            busy.count(fact.tenant for _, fact in predictions)
        for tenant, facts in _by_tenant(predictions, busy.watched).items():
            of = Population(about, tenant)
            state = await batch.tenant(of)
            while facts:
                taken = state.take([fact for _, fact in facts], self._window_size)
                entry_id = facts[taken - 1][0]
                facts = facts[taken:]
                if state.open is None:
                    await self._closer.close(batch, of, state, entry_id)

    async def take_feedback(
        self,
        batch: Batch,
        about: ModelVersion,
        busy: BusyTenants,
        feedback: Facts[FeedbackFacts],
    ) -> None:
        """The same for feedback, which nobody is chosen by."""
        for tenant, facts in _by_tenant(feedback, busy.watched).items():
            state = await batch.tenant(Population(about, tenant))
            state.take_feedback([fact for _, fact in facts], self._window_size)

    async def choose(self, batch: Batch, about: ModelVersion, busy: BusyTenants) -> None:
        """Chooses anew, because a window of all tenants closed."""
        for tenant in busy.choose(self._most):
            await self.drop(batch, Population(about, tenant))

    async def forget(self, batch: Batch, about: ModelVersion) -> None:
        """Drops all tenants of a version that is watched no more."""
        tenants = {of.tenant for of in batch.tenants if of.about == about}
        for tenant in sorted(tenants | {*(await batch.transaction.tenants(about)).watched}):
            await self.drop(batch, Population(about, tenant))

    async def drop(self, batch: Batch, of: Population) -> None:
        """Takes a tenant's own windows away; what is open of its incidents is closed."""
        state = await batch.tenant(of)
        self._closer.tell(batch, of.about, close_all(state.incidents, self._clock()))
        batch.drop(of)


def _by_tenant(facts: Facts[FactT], watched: Collection[str]) -> dict[str, list[tuple[str, FactT]]]:
    """Those of each tenant that is watched, in order."""
    found: dict[str, list[tuple[str, FactT]]] = {}
    if watched:
        for entry_id, fact in facts:
            if fact.tenant in watched:
                found.setdefault(fact.tenant, []).append((entry_id, fact))
    return found
