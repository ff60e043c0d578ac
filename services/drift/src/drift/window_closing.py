"""What follows when a window is full: it is measured, kept and told, and incidents take notice.

One that cannot be judged is kept with that mark, and neither told nor noticed by incidents: its
fault must not stop the windows after it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from drift.batch_changes import Batch, SetAside
from drift.break_incidents import with_calm
from drift.domain import ModelVersion, Population
from drift.event_converters import from_measurement
from drift.incident_events import from_told
from drift.incidents import IncidentBook, Told, observe
from drift.judging_faults import WindowUnjudgeable, judging
from drift.measurement import Measured, Measurer, measurement_id
from drift.version_state import PopulationState
from drift.window_history import KeptWindow, kept_window
from servicekit.identifiers import new_id

SET_ASIDE = "set_aside"
"""The outcome of a window that cannot be judged."""


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
        window = state.closed
        if window is None or window.last_predicted_at is None:
            return
        window_id = str(measurement_id(of, window.last_predicted_at, entry_id))
        try:
            measured = await self._measurer.measure(of, window, entry_id)
            with judging():
                state.incidents, changes = self._observed(of, state.incidents, measured)
        except WindowUnjudgeable as fault:
            batch.outcomes[of, SET_ASIDE] += 1
            batch.set_aside.append(SetAside(of, window_id, fault))
            self._keep(batch, of, kept_window(window, window_id, None, fault=fault.error))
            return
        batch.outcomes[of, _outcome(measured)] += 1
        if measured is None:
            self._keep(batch, of, kept_window(window, window_id, None))
            return
        told = measured.measurement
        self._keep(batch, of, kept_window(window, window_id, told.drifted(), told.reference_id))
        if not of.tenant:
            # The log's rows of measurements name no tenant; incidents do.
            batch.told.append((self._measurements_stream, from_measurement(told)))
        self.tell(batch, of.about, changes)

    def tell(self, batch: Batch, about: ModelVersion, changes: Sequence[Told]) -> None:
        """Lets the world know of changes of incidents."""
        batch.told += [(self._incidents_stream, from_told(about, told)) for told in changes]

    def most_kept(self, of: Population) -> int:
        """Closed windows of it that are kept."""
        return self._kept_tenant_windows if of.tenant else self._kept_windows

    def _observed(
        self, of: Population, book: IncidentBook, measured: Measured | None
    ) -> tuple[IncidentBook, Sequence[Told]]:
        """The incidents after a window, and what is to be told of them."""
        if measured is None:
            return book, []
        window = with_calm(book, measured.judged)
        return observe(book, window, tenant=of.tenant, now=self._clock(), make_id=new_id)

    def _keep(self, batch: Batch, of: Population, kept: KeptWindow | None) -> None:
        if kept is not None:
            # Those beyond the limit would be written to be taken away.
            most = self.most_kept(of)
            batch.kept[of] = [*batch.kept.get(of, ()), kept][-most:] if most else []


def _outcome(measured: Measured | None) -> str:
    if measured is None or not measured.judged.groups:
        return "not_judged"
    return "drift" if any(group.drifted for group in measured.judged.groups) else "no_drift"
