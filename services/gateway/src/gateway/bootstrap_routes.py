"""POST /v1/bootstrap."""

from fastapi import APIRouter, Request, Response

from gateway.admin_answers import NewClient, client_fields
from gateway.admin_shapes import BootstrapBody
from gateway.api_description import body_of, writing
from gateway.audit_trail import AuditTrail
from gateway.bootstrap import Bootstrap
from gateway.client_routes import NO_STORE
from gateway.domain import PLATFORM_TENANT
from gateway.request_body import read_json
from servicekit.errors import ServiceError

_MAX_BODY_BYTES = 16 * 1024


def bootstrap_routes(bootstrap: Bootstrap | None, audit: AuditTrail) -> APIRouter:
    """The route; there is none where no bootstrap secret is configured."""
    router = APIRouter(tags=["administration"])
    if bootstrap is None:
        return router

    @router.post(
        "/v1/bootstrap",
        status_code=201,
        responses=writing(409),
        openapi_extra=body_of(BootstrapBody),
        summary="Make the first administrator",
        description="Takes the one-time secret that the gateway was started with, and works once "
        "ever: the administrator of tenant `weir` that it answers with holds every role and makes "
        "all others. Take WEIR_BOOTSTRAP_SECRET_FILE away afterwards.",
    )
    async def make_first_admin(request: Request, response: Response) -> NewClient:
        body = await read_json(request, BootstrapBody, _MAX_BODY_BYTES)
        reason = ""
        try:
            record, secret = await bootstrap.use(body.bootstrap_secret, body.client_id)
        except ServiceError as error:
            reason = error.code
            raise
        finally:
            audit.record(
                "bootstrap",
                client_id=body.client_id,
                tenant="" if reason else PLATFORM_TENANT,
                client_address=request.client.host if request.client else "",
                reason=reason,
                target=body.client_id,
            )
        response.headers["location"] = f"/v1/clients/{record.client_id}"
        response.headers["cache-control"] = NO_STORE
        return NewClient(**client_fields(record), client_secret=secret)

    return router
