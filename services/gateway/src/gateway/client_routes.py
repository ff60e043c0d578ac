"""/v1/clients: who may use the platform."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response, Security
from fastapi.routing import APIRoute

from gateway.access import BearerAccess, Caller
from gateway.admin_answers import ManagedClient, ManagedClients, NewClient, NewSecret, client_fields
from gateway.admin_rights import sees
from gateway.admin_shapes import ClientChangeBody, NewClientBody
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import PlainText
from gateway.audited_routes import act, name_target
from gateway.client_admin import ClientAdmin
from gateway.identity_directory import IdentityDirectory
from gateway.page_cursor import page_of
from gateway.request_body import read_json

IfMatch = Annotated[
    str | None,
    Header(description="The ETag that the change is made for; without it, whatever is there."),
]
NO_STORE = "no-store"


def client_routes(
    access: BearerAccess,
    directory: IdentityDirectory,
    admin: ClientAdmin,
    route_class: type[APIRoute],
    *,
    max_body_bytes: int,
) -> APIRouter:
    """The routes; each sees the caller's own tenant, or all of them for one of tenant `weir`."""
    router = APIRouter(tags=["administration"], route_class=route_class)
    may_administer: Caller = Security(access, scopes=["admin"])

    @router.get("/v1/clients", responses=reading(), summary="List clients by id")
    async def list_clients(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        tenant: Annotated[PlainText | None, Query(max_length=128)] = None,
        caller: Caller = may_administer,
    ) -> ManagedClients:
        await directory.refresh_if_possible()
        visible = (
            (client_id, record)
            for client_id, record in directory.snapshot.clients.items()
            if sees(caller, record.tenant) and tenant in (None, record.tenant)
        )
        page, following = page_of(visible, limit, cursor or "")
        answers = [ManagedClient(**client_fields(record)) for record in page]
        return ManagedClients(clients=answers, next_cursor=following)

    @router.post(
        "/v1/clients",
        status_code=201,
        responses=writing(409),
        openapi_extra=body_of(NewClientBody),
        summary="Make a client",
        description="The answer holds its secret, once. It can be used within a second at every "
        "gateway. You can give the scopes that your own credential holds.",
    )
    @act("client.create")
    async def create_client(
        request: Request, response: Response, caller: Caller = may_administer
    ) -> NewClient:
        body = await read_json(request, NewClientBody, max_body_bytes)
        name_target(request, body.client_id or "")
        record, secret = await admin.create(caller, body)
        name_target(request, record.client_id)
        response.headers["location"] = f"/v1/clients/{record.client_id}"
        response.headers["etag"] = record.etag
        response.headers["cache-control"] = NO_STORE
        return NewClient(**client_fields(record), client_secret=secret or None)

    @router.get("/v1/clients/{client_id}", responses=reading(404), summary="One client")
    async def get_client(
        client_id: str, response: Response, caller: Caller = may_administer
    ) -> ManagedClient:
        record = await admin.find(caller, client_id)
        response.headers["etag"] = record.etag
        return ManagedClient(**client_fields(record))

    @router.patch(
        "/v1/clients/{client_id}",
        responses=writing(404, 409, 412),
        openapi_extra=body_of(ClientChangeBody),
        summary="Change a client",
        description="Fields that are not in the body stay as they are. Disabling it ends its "
        "access tokens and API keys within a second. A scope that is taken from it is gone at "
        "every gateway within a second; services that are called without one take tokens that "
        "were issued before until they expire, at most ten minutes.",
    )
    @act("client.change")
    async def change_client(
        client_id: str,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
        caller: Caller = may_administer,
    ) -> ManagedClient:
        body = await read_json(request, ClientChangeBody, max_body_bytes)
        record = await admin.change(caller, client_id, body, if_match)
        response.headers["etag"] = record.etag
        return ManagedClient(**client_fields(record))

    @router.delete(
        "/v1/clients/{client_id}",
        status_code=204,
        responses=reading(404, 409, 412),
        summary="Remove a client, its API keys and its access tokens",
    )
    @act("client.remove")
    async def remove_client(
        client_id: str, request: Request, if_match: IfMatch = None, caller: Caller = may_administer
    ) -> None:
        await admin.remove(caller, client_id, if_match)

    @router.post(
        "/v1/clients/{client_id}/secrets",
        status_code=201,
        responses=reading(404, 409, 412),
        summary="Give a client another secret",
        description="It is good beside the one that is there, so that nothing fails while it is "
        "brought to where it is used; then remove the old one. At most two are live.",
    )
    @act("client.secret.create")
    async def add_secret(
        client_id: str,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
        caller: Caller = may_administer,
    ) -> NewSecret:
        kept, secret = await admin.add_secret(caller, client_id, if_match)
        response.headers["cache-control"] = NO_STORE
        return NewSecret(number=kept.number, created_at=kept.created_at, client_secret=secret)

    @router.delete(
        "/v1/clients/{client_id}/secrets/{number}",
        status_code=204,
        responses=reading(404, 409),
        summary="Remove one of a client's secrets",
    )
    @act("client.secret.remove")
    async def remove_secret(
        client_id: str,
        number: int,
        request: Request,
        revoke_tokens: Annotated[
            bool,
            Query(
                description="Whether access tokens that the client got before end now, as they "
                "must when the secret leaked. `false` lets them run out, so that a planned "
                "rotation interrupts nobody."
            ),
        ] = True,
        caller: Caller = may_administer,
    ) -> None:
        await admin.remove_secret(caller, client_id, number, revoke_tokens=revoke_tokens)

    return router
