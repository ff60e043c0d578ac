"""/v1/drift/models/{model}/references: what a model is compared with, and who changed that."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import PlainText
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act, audited_route, name_target
from gateway.errors import ModelUnknown
from gateway.reference_answers import KeptReference, KeptReferences
from gateway.reference_client import ReferenceClient
from gateway.reference_shapes import ActivationBody, PromotionBody
from gateway.request_body import read_json
from gateway.text_rules import fault_of
from servicekit.errors import NotFound

_REFERENCES = "/v1/drift/models/{model}/references"
_PROMOTION = """\
The reference is made of the closed windows that are kept and began in the range, and is in force \
at once, for all tenants: verdicts, reports, plans and the detectors of sudden breaks use it from \
the next window on. Open incidents of the version are closed, and begin anew where the model \
differs from the new reference, too. A range that an incident lies in is refused unless \
`accept_drift` says that its drift is what is usual from now on. One with a window that could not \
be judged is refused in any case. The newest ten are kept."""
_ACTIVATION = """\
The way back: puts an earlier reference in force again, or with the id `package` that of the \
package. Incidents begin anew, as they do at a promotion. Nothing happens if it is in force."""


def reference_routes(
    access: BearerAccess, drift: ReferenceClient, audit: AuditTrail, *, max_body_bytes: int
) -> APIRouter:
    """The routes; references are of all tenants together."""
    router = APIRouter(tags=["drift"], route_class=audited_route(audit))
    may_read: Caller = Security(access, scopes=["drift:read"])
    may_manage: Caller = Security(access, scopes=["drift:manage"])

    @router.get(
        _REFERENCES,
        responses=reading(404),
        summary="The references of a model version, and which is in force",
    )
    async def list_references(
        model: str,
        version: Annotated[
            PlainText | None,
            Query(max_length=128, description="The one predicted with last, when absent."),
        ] = None,
        caller: Caller = may_read,
    ) -> KeptReferences:
        return await drift.list(_known(model), version or "")

    @router.post(
        _REFERENCES,
        status_code=201,
        responses=writing(404, 409),
        openapi_extra=body_of(PromotionBody),
        summary="Make a reference of the windows of a range of time",
        description=_PROMOTION,
    )
    @act("drift.reference.promote")
    async def promote(model: str, request: Request, caller: Caller = may_manage) -> KeptReference:
        body = await read_json(request, PromotionBody, max_body_bytes)
        name_target(request, f"{model}/{body.version}")
        return await drift.promote(_known(model), caller.client_id, body)

    @router.post(
        f"{_REFERENCES}/{{reference_id}}/activate",
        responses=writing(404),
        openapi_extra=body_of(ActivationBody),
        summary="Put another reference in force",
        description=_ACTIVATION,
    )
    @act("drift.reference.activate")
    async def activate(
        model: str, reference_id: str, request: Request, caller: Caller = may_manage
    ) -> KeptReference:
        body = await read_json(request, ActivationBody, max_body_bytes)
        name_target(request, f"{model}/{body.version}/{reference_id}")
        if fault_of(reference_id) or len(reference_id) > 64:
            raise NotFound("There is no such reference.", reason="REFERENCE_UNKNOWN")
        return await drift.activate(_known(model), caller.client_id, reference_id, body)

    return router


def _known(model: str) -> str:
    """The name of a model, where it can be one.

    Raises:
        ModelUnknown: it cannot.
    """
    if fault_of(model):
        raise ModelUnknown("No model of that name is watched.")
    return model
