"""GET /v1/audit."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Security
from starlette.responses import JSONResponse, Response

from gateway.access import BearerAccess, Caller
from gateway.api_description import reading
from gateway.api_shapes import PlainText
from gateway.audit_answers import AuditRecords
from gateway.audit_client import AuditClient, AuditQuery, AuditReader
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act, audited_route
from gateway.domain import PLATFORM_TENANT
from gateway.log_query import Before, From, Word, fields_as_parameters

_LINES = "application/x-ndjson"
_DESCRIPTION = """\
Who did, or was refused, what. A search by action or outcome answers after a second with what it has
found: a page may then hold fewer than `limit`, even none, and `next_cursor` tells where to go on;
only where that is null is the end. Refusals that repeat are told once, then counted by the minute.
Each page that is read is on the trail itself, as `audit.read`.

With `Accept: application/x-ndjson` a page comes as lines, one record each; the header `Link` holds
the address of the next page (RFC 8288), and is missing on the last.

A client with the scope `admin` of the tenant `weir` sees the records of all tenants, and those of
none, such as refused logins of clients that do not exist.
"""
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": AuditRecords,
        "content": {
            _LINES: {
                "schema": {"type": "string"},
                "example": '{"event_id":"0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a33", …}\n',
            }
        },
    }
}


def audit_routes(access: BearerAccess, trail: AuditClient, audit: AuditTrail) -> APIRouter:
    """The route on the trail of the tenant's own."""
    router = APIRouter(tags=["administration"], route_class=audited_route(audit))
    may_read: Caller = Security(access, scopes=["audit:read"])

    @router.get(
        "/v1/audit",
        response_model=None,
        responses={**_ANSWERS, **reading()},
        summary="Read the audit trail, newest first",
        description=_DESCRIPTION,
    )
    @act("audit.read", only_refusals=True)
    async def list_records(
        request: Request,
        occurred_from: From = None,
        before: Before = None,
        action: Annotated[
            PlainText | None,
            Query(max_length=128, description="How it begins.", examples=["token."]),
        ] = None,
        client_id: Word = None,
        target: Word = None,
        outcome: Literal["allowed", "refused"] | None = None,
        tenant: Annotated[
            PlainText | None,
            Query(max_length=128, description="For those who see more than one."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        caller: Caller = may_read,
    ) -> Response:
        query = AuditQuery(
            occurred_from=occurred_from,
            occurred_before=before,
            action=action or "",
            client_id=client_id or "",
            target=target or "",
            outcome=outcome or "",
            tenant=tenant or "",
        )
        reader = AuditReader(
            client_id=caller.client_id,
            tenant=caller.tenant,
            client_address=request.client.host if request.client else "",
            all_tenants=caller.tenant == PLATFORM_TENANT and "admin" in caller.scopes,
        )
        with fields_as_parameters():
            page = await trail.list_page(reader, query, limit=limit, cursor=cursor or "")
        headers = {"cache-control": "no-store", "vary": "accept"}
        if _LINES not in request.headers.get("accept", ""):
            return JSONResponse(page.model_dump(mode="json"), headers=headers)
        if page.next_cursor:
            headers["link"] = f'<{_next(request, page.next_cursor)}>; rel="next"'
        lines = "".join(f"{record.model_dump_json()}\n" for record in page.records)
        return Response(lines, headers=headers, media_type=_LINES)

    return router


def _next(request: Request, cursor: str) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"
