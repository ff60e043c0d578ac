"""POST and GET /v1/erasures."""

from uuid import UUID

from fastapi import APIRouter, Request, Response, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import ErasureBody
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act, audited_route
from gateway.errors import ErasureUnknown
from gateway.idempotency import Idempotency
from gateway.idempotent_route import idempotent_route
from gateway.privacy_client import Erasure, PrivacyClient
from gateway.request_body import read_json


def privacy_routes(
    access: BearerAccess,
    privacy: PrivacyClient,
    idempotency: Idempotency,
    audit: AuditTrail,
    *,
    max_body_bytes: int,
) -> APIRouter:
    """The routes that erase people from the tenant's own log."""
    once = idempotent_route(idempotency, access, "privacy:erase")
    router = APIRouter(tags=["privacy"], route_class=audited_route(audit, once))
    may_erase: Caller = Security(access, scopes=["privacy:erase"])

    @router.post(
        "/v1/erasures",
        status_code=202,
        responses=writing(409),
        openapi_extra=body_of(ErasureBody),
        summary="Erase a person",
        description="Destroys the key of the person's texts at once and begins to redact the "
        "predictions about them. The same person may be erased again later.",
    )
    @act("subject.erase", only_refusals=True)
    async def erase(request: Request, response: Response, caller: Caller = may_erase) -> Erasure:
        body = await read_json(request, ErasureBody, max_body_bytes)
        erasure = await privacy.erase(
            caller.tenant,
            caller.client_id,
            body.subject,
            client_address=request.client.host if request.client else "",
        )
        response.headers["location"] = f"/v1/erasures/{erasure.erasure_id}"
        return erasure

    @router.get(
        "/v1/erasures/{erasure_id}", responses=reading(404), summary="How far an erasure has come"
    )
    async def get_erasure(erasure_id: str, caller: Caller = may_erase) -> Erasure:
        return await privacy.find(caller.tenant, _identifier(erasure_id))

    return router


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise ErasureUnknown("There is no such erasure.") from error
