"""What follows when a window is full: it is measured, kept and told, and incidents take notice."""

from collections.abc import Callable, Sequence
from datetime import datetime

from drift.batch_changes import Batch
from drift.break_incidents import with_calm
from drift.domain import ModelVersion, Population
from drift.event_converters import from_measurement
from drift.incident_events import from_told
from drift.incidents import Told, observe
from drift.measurement import Measured, Measurement, Measurer, measurement_id
from drift.version_state import PopulationState, Window
from drift.window_history import kept_window
from servicekit.identifiers import new_id


class WindowCloser:
    """Closes windows of all tenants together and of single ones alike.

    Args:
        kept_windows: closed windows of each model version that are kept.
        kept_tenant_windows: the same of each tenant that has windows of its own.
    """

    def __init__(
        self,
        measurer: Measurer,
        *,
        measurements_stream: str,
        incidents_stream: str,
        kept_windows: int,
        kept_tenant_windows: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._measurer = measurer
        self._measurements_stream = measurements_stream
        self._incidents_stream = incidents_stream
        self._kept_windows = kept_windows
        self._kept_tenant_windows = kept_tenant_windows
        self._clock = clock

    async def close(
        self, batch: Batch, of: Population, state: PopulationState, entry_id: str
    ) -> None:
        """Takes the window of a state that closed.

        Args:
            entry_id: of the prediction that filled it.
        """
        if state.closed is None:
            return
        measured = await self._measurer.measure(of, state.closed, entry_id)
        batch.outcomes[of, _outcome(measured)] += 1
        self._keep(batch, of, state.closed, entry_id, measured.measurement if measured else None)
        if measured is None:
            return
        if not of.tenant:
            # The log's rows of measurements name no tenant; incidents do.
            fact = from_measurement(measured.measurement)
            batch.told.append((self._measurements_stream, fact))
        window = with_calm(state.incidents, measured.judged)
        state.incidents, changes = observe(
            state.incidents, window, tenant=of.tenant, now=self._clock(), make_id=new_id
        )
        self.tell(batch, of.about, changes)

    def tell(self, batch: Batch, about: ModelVersion, changes: Sequence[Told]) -> None:
        """Lets the world know of changes of incidents."""
        batch.told += [(self._incidents_stream, from_told(about, told)) for told in changes]

    def most_kept(self, of: Population) -> int:
        """Closed windows of it that are kept."""
        return self._kept_tenant_windows if of.tenant else self._kept_windows

    def _keep(
        self,
        batch: Batch,
        of: Population,
        window: Window,
        entry_id: str,
        measurement: Measurement | None,
    ) -> None:
        if window.last_predicted_at is None:
            return
        window_id = str(measurement_id(of, window.last_predicted_at, entry_id))
        kept = kept_window(
            window,
            window_id,
            measurement.drifted() if measurement else None,
            measurement.reference_id if measurement else "",
        )
        if kept is not None:
            # Those beyond the limit would be written to be taken away.
            most = self.most_kept(of)
            batch.kept[of] = [*batch.kept.get(of, ()), kept][-most:] if most else []


def _outcome(measured: Measured | None) -> str:
    if measured is None or not measured.judged.groups:
        return "not_judged"
    return "drift" if any(group.drifted for group in measured.judged.groups) else "no_drift"
