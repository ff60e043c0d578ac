"""From incidents to their contract, and back."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from drift.domain import Estimate
from drift.incident_desk import Shown
from drift.incidents import IncidentState
from servicekit.timestamps import to_timestamp
from weir.drift.v1 import drift_pb2
from weir.drift.v1 import incidents_pb2 as pb

_STATES: dict[IncidentState, pb.IncidentState] = {
    IncidentState.OPEN: pb.INCIDENT_STATE_OPEN,
    IncidentState.ACKNOWLEDGED: pb.INCIDENT_STATE_ACKNOWLEDGED,
    IncidentState.SILENCED: pb.INCIDENT_STATE_SILENCED,
    IncidentState.CLOSED: pb.INCIDENT_STATE_CLOSED,
}
_BY_NUMBER: dict[pb.IncidentState, IncidentState] = {
    number: state for state, number in _STATES.items()
}


def to_state(number: pb.IncidentState) -> IncidentState | None:
    """A state that is asked for; None for any."""
    return _BY_NUMBER.get(number)


def from_shown(shown: Shown) -> pb.Incident:
    """An incident as the contract has it."""
    incident = shown.incident
    return pb.Incident(
        incident_id=str(incident.id),
        revision=incident.revision,
        tenant=incident.tenant,
        model=shown.about.model,
        model_version=shown.about.version,
        group=incident.group,
        signal=incident.signal,
        direction=incident.direction,
        state=_STATES[shown.state],
        opened_at=_moment(incident.opened_at),
        changed_at=_moment(incident.changed_at),
        began_at=_moment(incident.began_at),
        last_drift_at=_moment(incident.last_drift_at),
        closed_at=_moment(incident.closed_at),
        severity=incident.severity,
        expected_loss=_estimate(incident.loss) if incident.loss else None,
        action=incident.action,
        reasons=incident.reasons,
        signals=[
            pb.IncidentSignal(
                signal=signal.name,
                direction=signal.direction,
                effect=_estimate(signal.effect),
                p_value=signal.p_value,
            )
            for signal in incident.signals
        ],
        windows_drifted=incident.windows,
        windows_clean=incident.clean,
        reference=incident.reference,
        acknowledged_at=_moment(incident.acknowledged_at),
        acknowledged_by=incident.acknowledged_by,
        silenced_until=_moment(incident.silenced_until),
        silenced_by=incident.silenced_by,
    )


def _moment(at: datetime | None) -> Timestamp | None:
    return None if at is None else to_timestamp(at)


def _estimate(estimate: Estimate) -> drift_pb2.Estimate:
    return drift_pb2.Estimate(value=estimate.value, lower=estimate.lower, upper=estimate.upper)
