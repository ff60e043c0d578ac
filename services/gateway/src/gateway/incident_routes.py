"""/v1/drift/incidents: drifts that last, and who looks after them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import PlainText, SilenceBody
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act, audited_route
from gateway.errors import IncidentUnknown
from gateway.incident_answers import Incident, Incidents, IncidentState
from gateway.incident_client import IncidentClient
from gateway.request_body import read_json
from gateway.text_rules import fault_of


def incident_routes(
    access: BearerAccess, drift: IncidentClient, audit: AuditTrail, *, max_body_bytes: int
) -> APIRouter:
    """The routes; a tenant sees incidents of all tenants together and its own."""
    router = APIRouter(tags=["drift"], route_class=audited_route(audit))
    may_read: Caller = Security(access, scopes=["drift:read"])
    may_manage: Caller = Security(access, scopes=["drift:manage"])

    @router.get("/v1/drift/incidents", responses=reading(), summary="List incidents, newest first")
    async def list_incidents(
        model: Annotated[PlainText | None, Query(max_length=128, examples=["sentiment"])] = None,
        state: Annotated[IncidentState | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        caller: Caller = may_read,
    ) -> Incidents:
        return await drift.page(
            caller.tenant, model=model or "", state=state, limit=limit, cursor=cursor or ""
        )

    @router.get("/v1/drift/incidents/{incident_id}", responses=reading(404), summary="One incident")
    async def get_incident(incident_id: str, caller: Caller = may_read) -> Incident:
        return await drift.find(caller.tenant, _known(incident_id))

    @router.post(
        "/v1/drift/incidents/{incident_id}/acknowledge",
        responses=reading(404, 409),
        summary="Say that somebody looks after an incident",
        description="Who was first stays; a closed incident cannot be acknowledged.",
    )
    @act("drift.incident.acknowledge")
    async def acknowledge(
        incident_id: str, request: Request, caller: Caller = may_manage
    ) -> Incident:
        return await drift.acknowledge(caller.tenant, caller.client_id, _known(incident_id))

    @router.post(
        "/v1/drift/incidents/{incident_id}/silence",
        responses=writing(404, 409),
        openapi_extra=body_of(SilenceBody),
        summary="Let nobody be notified of an incident until a time",
        description="Changes are recorded all the same. A time in the past ends a silence.",
    )
    @act("drift.incident.silence")
    async def silence(incident_id: str, request: Request, caller: Caller = may_manage) -> Incident:
        body = await read_json(request, SilenceBody, max_body_bytes)
        return await drift.silence(caller.tenant, caller.client_id, _known(incident_id), body.until)

    return router


def _known(incident_id: str) -> str:
    """The id in a path.

    Raises:
        IncidentUnknown: it can be none.
    """
    if fault_of(incident_id) or len(incident_id) > 64:
        raise IncidentUnknown("There is no such incident.")
    return incident_id
