"""The contract of incidents over gRPC: convert, call, convert."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from drift.domain import TimeInvalid
from drift.incident_converters import from_shown, to_state
from drift.incident_desk import IncidentDesk
from drift.tenancy import client_of, tenant_of
from servicekit import request_context
from servicekit.errors import FieldViolation
from weir.drift.v1 import incidents_pb2 as pb
from weir.drift.v1 import incidents_pb2_grpc

SERVICE = "weir.drift.v1.IncidentService"
SCOPES = {
    f"/{SERVICE}/ListIncidents": "drift:read",
    f"/{SERVICE}/GetIncident": "drift:read",
    f"/{SERVICE}/AcknowledgeIncident": "drift:manage",
    f"/{SERVICE}/SilenceIncident": "drift:manage",
}


class IncidentServicer(incidents_pb2_grpc.IncidentServiceServicer):
    """Runs behind the interceptors of `GrpcServer`, which authenticate and map errors."""

    def __init__(self, desk: IncidentDesk) -> None:
        self._desk = desk

    async def ListIncidents(
        self, request: pb.ListIncidentsRequest, context: "ServicerContext[object, object]"
    ) -> pb.ListIncidentsResponse:
        """A page, newest first."""
        page, following = await self._desk.page(
            _tenant(request.tenant),
            model=request.model,
            state=to_state(request.state),
            limit=request.limit,
            cursor=request.cursor,
        )
        return pb.ListIncidentsResponse(incidents=map(from_shown, page), next_cursor=following)

    async def GetIncident(
        self, request: pb.GetIncidentRequest, context: "ServicerContext[object, object]"
    ) -> pb.GetIncidentResponse:
        """One incident."""
        shown = await self._desk.find(_tenant(request.tenant), request.incident_id)
        return pb.GetIncidentResponse(incident=from_shown(shown))

    async def AcknowledgeIncident(
        self, request: pb.AcknowledgeIncidentRequest, context: "ServicerContext[object, object]"
    ) -> pb.AcknowledgeIncidentResponse:
        """Somebody looks after it."""
        shown = await self._desk.acknowledge(
            _tenant(request.tenant), request.incident_id, _client(request.client_id)
        )
        return pb.AcknowledgeIncidentResponse(incident=from_shown(shown))

    async def SilenceIncident(
        self, request: pb.SilenceIncidentRequest, context: "ServicerContext[object, object]"
    ) -> pb.SilenceIncidentResponse:
        """Nobody is notified of it until a time."""
        shown = await self._desk.silence(
            _tenant(request.tenant),
            request.incident_id,
            _client(request.client_id),
            _moment(request.until if request.HasField("until") else None),
        )
        return pb.SilenceIncidentResponse(incident=from_shown(shown))


def _tenant(stated: str) -> str:
    return tenant_of(request_context.principal.get(), stated)


def _client(stated: str) -> str:
    return client_of(request_context.principal.get(), stated)


def _moment(until: Timestamp | None) -> datetime:
    try:
        if until is not None:
            return until.ToDatetime(UTC)
    except (ValueError, OverflowError):
        pass
    fault = FieldViolation("until", "is no time")
    raise TimeInvalid("The silence needs an end.", violations=[fault])
