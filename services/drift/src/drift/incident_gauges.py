"""Shows open incidents as metrics."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from prometheus_client import Gauge

from drift.domain import StateUnavailable
from drift.incidents import IncidentState
from drift.state_store import StateStore

OPEN = Gauge(
    "weir_drift_incidents_open",
    "Incidents that are not closed, of all tenants together (scope all) or of a single one (scope "
    "tenant); silenced ones are left out until the silence ends.",
    ["model", "model_version", "signal_group", "severity", "scope"],
)
_Labels = tuple[str, str, str, str, str]


class IncidentGauges:
    """Sets the gauge from the stored incidents, the same in every replica."""

    def __init__(self, store: StateStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._shown: set[_Labels] = set()

    async def observe(self) -> None:
        """Updates the gauge; it keeps its values while Redis is away."""
        try:
            books = await self._store.incidents(await self._store.populations())
        except StateUnavailable:
            # The health check says so, once.
            return
        now = self._clock()
        counts: Counter[_Labels] = Counter(
            (
                of.about.model,
                of.about.version,
                incident.group,
                incident.severity.value,
                "tenant" if incident.tenant else "all",
            )
            for of, book in books.items()
            for incident in book.opened()
            if incident.state(now) is not IncidentState.SILENCED
        )
        for labels, count in counts.items():
            OPEN.labels(*labels).set(count)
        for labels in self._shown - counts.keys():
            OPEN.remove(*labels)
        self._shown = set(counts)
