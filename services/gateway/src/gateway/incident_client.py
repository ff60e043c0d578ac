"""Drift's incidents, as the gateway sees them."""

from datetime import UTC, datetime

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.drift_answers import Estimate
from gateway.incident_answers import Incident, Incidents, IncidentSignal, IncidentState
from gateway.upstream import answer_of, optional_field
from weir.drift.v1 import drift_pb2, incidents_pb2_grpc
from weir.drift.v1 import incidents_pb2 as pb

_SERVICE = "drift"
_STATES: dict[pb.IncidentState, IncidentState] = {
    pb.INCIDENT_STATE_OPEN: "open",
    pb.INCIDENT_STATE_ACKNOWLEDGED: "acknowledged",
    pb.INCIDENT_STATE_SILENCED: "silenced",
    pb.INCIDENT_STATE_CLOSED: "closed",
}
_NUMBERS = {state: number for number, state in _STATES.items()}


class IncidentClient:
    """Calls drift over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: incidents_pb2_grpc.IncidentServiceAsyncStub = (
            incidents_pb2_grpc.IncidentServiceStub(channel)
        )

    async def page(
        self, tenant: str, *, model: str, state: IncidentState | None, limit: int, cursor: str
    ) -> Incidents:
        """A page of incidents, newest first.

        Raises:
            InvalidInput: the cursor is none that a page gave.
            ServiceError: drift is away, late or broken.
        """
        request = pb.ListIncidentsRequest(tenant=tenant, model=model, limit=limit, cursor=cursor)
        if state is not None:
            request.state = _NUMBERS[state]
        answer = await answer_of(_SERVICE, self._stub.ListIncidents(request))
        return Incidents(
            incidents=[_incident(each) for each in answer.incidents],
            next_cursor=answer.next_cursor or None,
        )

    async def find(self, tenant: str, incident_id: str) -> Incident:
        """One incident.

        Raises:
            NotFound: the tenant may see no such incident.
            ServiceError: drift is away, late or broken.
        """
        request = pb.GetIncidentRequest(tenant=tenant, incident_id=incident_id)
        answer = await answer_of(_SERVICE, self._stub.GetIncident(request))
        return _incident(answer.incident)

    async def acknowledge(self, tenant: str, client_id: str, incident_id: str) -> Incident:
        """Says that the client looks after it.

        Raises:
            NotFound: the tenant may see no such incident.
            Conflict: it is closed.
            ServiceError: drift is away, late or broken.
        """
        request = pb.AcknowledgeIncidentRequest(
            tenant=tenant, client_id=client_id, incident_id=incident_id
        )
        answer = await answer_of(_SERVICE, self._stub.AcknowledgeIncident(request))
        return _incident(answer.incident)

    async def silence(
        self, tenant: str, client_id: str, incident_id: str, until: datetime
    ) -> Incident:
        """Lets nobody be notified until a time; raises as `acknowledge` does."""
        end = Timestamp()
        end.FromDatetime(until)
        request = pb.SilenceIncidentRequest(
            tenant=tenant, client_id=client_id, incident_id=incident_id, until=end
        )
        answer = await answer_of(_SERVICE, self._stub.SilenceIncident(request))
        return _incident(answer.incident)


def _incident(message: pb.Incident) -> Incident:
    loss = optional_field(message, "expected_loss")
    return Incident(
        incident_id=message.incident_id,
        revision=message.revision,
        tenant=message.tenant or None,
        model=message.model,
        model_version=message.model_version,
        group=message.group,
        signal=message.signal,
        direction=message.direction,
        state=_STATES.get(message.state, "open"),
        opened_at=message.opened_at.ToDatetime(UTC),
        changed_at=message.changed_at.ToDatetime(UTC),
        began_at=message.began_at.ToDatetime(UTC),
        last_drift_at=message.last_drift_at.ToDatetime(UTC),
        closed_at=_moment(message, "closed_at"),
        severity=message.severity,
        expected_loss=_estimate(loss) if loss is not None else None,
        action=message.action,
        reasons=list(message.reasons),
        signals=[
            IncidentSignal(
                signal=each.signal,
                direction=each.direction,
                effect=_estimate(each.effect),
                p_value=each.p_value,
            )
            for each in message.signals
        ],
        windows_drifted=message.windows_drifted,
        windows_clean=message.windows_clean,
        reference=message.reference,
        acknowledged_at=_moment(message, "acknowledged_at"),
        acknowledged_by=message.acknowledged_by or None,
        silenced_until=_moment(message, "silenced_until"),
        silenced_by=message.silenced_by or None,
    )


def _estimate(message: drift_pb2.Estimate) -> Estimate:
    return Estimate(value=message.value, lower=message.lower, upper=message.upper)


def _moment(message: Message, name: str) -> datetime | None:
    found: Timestamp | None = optional_field(message, name)
    return None if found is None else found.ToDatetime(UTC)
