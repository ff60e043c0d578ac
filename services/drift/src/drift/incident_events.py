"""From a change of an incident to the event that tells of it."""

from typing import Any

from drift.domain import Estimate, ModelVersion
from drift.incidents import Change, DriftedSignal, IncidentState, Told
from weir.events.v1 import events_pb2 as pb

_STATES = {
    IncidentState.OPEN: pb.DRIFT_INCIDENT_STATE_OPEN,
    IncidentState.ACKNOWLEDGED: pb.DRIFT_INCIDENT_STATE_ACKNOWLEDGED,
    IncidentState.SILENCED: pb.DRIFT_INCIDENT_STATE_SILENCED,
    IncidentState.CLOSED: pb.DRIFT_INCIDENT_STATE_CLOSED,
}
_CHANGES = {
    Change.OPENED: pb.DRIFT_INCIDENT_CHANGE_OPENED,
    Change.UPDATED: pb.DRIFT_INCIDENT_CHANGE_UPDATED,
    Change.CLOSED: pb.DRIFT_INCIDENT_CHANGE_CLOSED,
    Change.ACKNOWLEDGED: pb.DRIFT_INCIDENT_CHANGE_ACKNOWLEDGED,
    Change.SILENCED: pb.DRIFT_INCIDENT_CHANGE_SILENCED,
}


def from_told(about: ModelVersion, told: Told) -> pb.DriftIncidentChanged:
    """The event; `signal` is the group, and the details hold everything that explains it."""
    incident = told.incident
    event = pb.DriftIncidentChanged(
        incident_id=str(incident.id),
        revision=incident.revision,
        tenant=incident.tenant,
        model=about.model,
        model_version=about.version,
        signal=incident.group,
        state=_STATES[incident.state(incident.changed_at)],
        severity=incident.severity,
        change=_CHANGES[told.change],
    )
    event.changed_at.FromDatetime(incident.changed_at)
    event.opened_at.FromDatetime(incident.opened_at)
    if incident.closed_at is not None:
        event.closed_at.FromDatetime(incident.closed_at)
    event.details.update(
        {
            "change": told.change.value,
            "signal": incident.signal,
            "direction": incident.direction.value,
            "began_at": incident.began_at.isoformat(),
            "last_drift_at": incident.last_drift_at.isoformat(),
            "expected_loss": _estimate(incident.loss) if incident.loss else None,
            "action": incident.action.value,
            "reasons": list(incident.reasons),
            "signals": [_signal(signal) for signal in incident.signals],
            "windows_drifted": incident.windows,
            "reference": incident.reference,
            "acknowledged_by": incident.acknowledged_by,
            "silenced_by": incident.silenced_by,
            "silenced_until": (
                incident.silenced_until.isoformat() if incident.silenced_until else None
            ),
        }
    )
    return event


def _signal(signal: DriftedSignal) -> dict[str, Any]:
    return {
        "signal": signal.name,
        "direction": signal.direction.value,
        "effect": _estimate(signal.effect),
        "p_value": signal.p_value,
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "lower": estimate.lower, "upper": estimate.upper}
