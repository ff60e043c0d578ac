"""Shows the state of the windows as metrics."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import Gauge

from drift.comparison import compare
from drift.domain import ModelVersion, ReferenceInvalid, ReferenceMissing, StateUnavailable
from drift.judging_faults import WindowUnjudgeable, judging
from drift.references_in_force import ReferencesInForce
from drift.state_store import StateStore
from drift.version_state import Window, WindowSize
from servicekit.event_stream import entry_order

ROWS = Gauge(
    "weir_drift_window_rows", "Predictions in the reported window.", ["model", "model_version"]
)
DIFFERENCE = Gauge(
    "weir_drift_difference",
    "What the reported window differs by from the reference; no judgement.",
    ["model", "model_version", "signal", "statistic"],
)
REFERENCE_USABLE = Gauge(
    "weir_drift_reference_usable",
    "1 if the version has a reference that can be read, else 0.",
    ["model", "model_version"],
)
TENANTS = Gauge(
    "weir_drift_tenants_watched",
    "Tenants that have windows of their own.",
    ["model", "model_version"],
)
LAG = Gauge(
    "weir_drift_lag_seconds", "Age of the oldest event that was not applied yet.", ["stream"]
)

_Labels = tuple[str, ...]


class Observer:
    """Sets the gauges from the stored state; there are as many as the versions that are kept.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: StateStore,
        references: ReferencesInForce,
        *,
        streams: Sequence[str],
        minimum_rows: int,
        window_size: WindowSize,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._references = references
        self._streams = streams
        self._minimum_rows = minimum_rows
        self._window_size = window_size
        self._clock = clock
        self._shown: dict[Gauge, set[_Labels]] = {}

    async def observe(self) -> None:
        """Updates all gauges; they keep their values while Redis is away."""
        try:
            for stream in self._streams:
                LAG.labels(stream).set(await self._lag(stream))
            values: dict[Gauge, dict[_Labels, float]] = {
                gauge: {} for gauge in (ROWS, DIFFERENCE, REFERENCE_USABLE, TENANTS)
            }
            for version in await self._store.versions():
                state = await self._store.load(version)
                window = state.reported(self._minimum_rows, self._window_size)
                labels = (version.model, version.version)
                values[ROWS][labels] = window.rows
                values[TENANTS][labels] = len(state.tenants.watched)
                differences = await self._differences(version, window)
                values[REFERENCE_USABLE][labels] = differences is not None
                values[DIFFERENCE].update(differences or {})
        except StateUnavailable:
            # The health check says so, once.
            return
        for gauge, by_labels in values.items():
            self._show(gauge, by_labels)

    async def _lag(self, stream: str) -> float:
        entry = await self._store.oldest_unapplied(stream)
        return max(0.0, self._clock() - entry_order(entry)[0] / 1000) if entry else 0.0

    async def _differences(
        self, version: ModelVersion, window: Window
    ) -> dict[_Labels, float] | None:
        try:
            reference = await self._references.find(version)
        except (ReferenceMissing, ReferenceInvalid):
            return None
        try:
            with judging():
                signals = compare(reference.window, window.observed, self._minimum_rows)
        except WindowUnjudgeable:
            # It is told when the window closes; the other versions have their values.
            return {}
        return {
            (version.model, version.version, signal.name, statistic): value
            for signal in signals
            for statistic, value in signal.statistics().items()
        }

    def _show(self, gauge: Gauge, values: dict[_Labels, float]) -> None:
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        gone: Iterable[_Labels] = self._shown.get(gauge, set()) - values.keys()
        for labels in gone:
            gauge.remove(*labels)
        self._shown[gauge] = set(values)
