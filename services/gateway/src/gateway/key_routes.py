"""/v1/keys: API keys, for who cannot fetch access tokens."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.routing import APIRoute

from gateway.access import BearerAccess, Caller
from gateway.admin_answers import ManagedKey, ManagedKeys, NewKey, NewKeySecret, key_fields
from gateway.admin_rights import sees
from gateway.admin_shapes import KeyChangeBody, NewKeyBody
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import PlainText
from gateway.audited_routes import act, name_target
from gateway.client_routes import NO_STORE, IfMatch
from gateway.identity_directory import IdentityDirectory
from gateway.identity_records import KeyRecord
from gateway.key_admin import KeyAdmin
from gateway.page_cursor import page_of
from gateway.request_body import read_json


def key_routes(
    access: BearerAccess,
    directory: IdentityDirectory,
    admin: KeyAdmin,
    route_class: type[APIRoute],
    *,
    max_body_bytes: int,
) -> APIRouter:
    """The routes; each sees the caller's own tenant, or all of them for one of tenant `weir`."""
    router = APIRouter(tags=["administration"], route_class=route_class)
    may_administer: Caller = Security(access, scopes=["admin"])

    async def answers(records: list[KeyRecord]) -> list[ManagedKey]:
        uses = await admin.last_uses([record.key_id for record in records])
        return [ManagedKey(**key_fields(record, uses.get(record.key_id))) for record in records]

    @router.get("/v1/keys", responses=reading(), summary="List API keys by id")
    async def list_keys(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        client_id: Annotated[PlainText | None, Query(max_length=128)] = None,
        caller: Caller = may_administer,
    ) -> ManagedKeys:
        await directory.refresh_if_possible()
        visible = (
            (key_id, record)
            for key_id, record in directory.snapshot.keys.items()
            if sees(caller, record.tenant) and client_id in (None, record.client_id)
        )
        page, following = page_of(visible, limit, cursor or "")
        return ManagedKeys(keys=await answers(page), next_cursor=following)

    @router.post(
        "/v1/keys",
        status_code=201,
        responses=writing(404, 409),
        openapi_extra=body_of(NewKeyBody),
        summary="Make an API key",
        description="The answer holds the key, once. It goes with requests as `X-API-Key` or as "
        "`Authorization: Bearer`, and can be used within a second at every gateway. Its last six "
        "characters are a checksum, so that scanners for leaked secrets find true ones alone.",
    )
    @act("key.create")
    async def create_key(
        request: Request, response: Response, caller: Caller = may_administer
    ) -> NewKey:
        body = await read_json(request, NewKeyBody, max_body_bytes)
        record, text = await admin.create(caller, body)
        name_target(request, record.key_id)
        response.headers["location"] = f"/v1/keys/{record.key_id}"
        response.headers["etag"] = record.etag
        response.headers["cache-control"] = NO_STORE
        return NewKey(**key_fields(record, None), api_key=text)

    @router.get("/v1/keys/{key_id}", responses=reading(404), summary="One API key")
    async def get_key(
        key_id: str, response: Response, caller: Caller = may_administer
    ) -> ManagedKey:
        record = await admin.find(caller, key_id)
        response.headers["etag"] = record.etag
        return (await answers([record]))[0]

    @router.patch(
        "/v1/keys/{key_id}",
        responses=writing(404, 409, 412),
        openapi_extra=body_of(KeyChangeBody),
        summary="Change an API key",
        description="Fields that are not in the body stay as they are.",
    )
    @act("key.change")
    async def change_key(
        key_id: str,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
        caller: Caller = may_administer,
    ) -> ManagedKey:
        body = await read_json(request, KeyChangeBody, max_body_bytes)
        record = await admin.change(caller, key_id, body, if_match)
        response.headers["etag"] = record.etag
        return (await answers([record]))[0]

    @router.delete(
        "/v1/keys/{key_id}",
        status_code=204,
        responses=reading(404, 409, 412),
        summary="Remove an API key",
    )
    @act("key.remove")
    async def remove_key(
        key_id: str, request: Request, if_match: IfMatch = None, caller: Caller = may_administer
    ) -> None:
        await admin.remove(caller, key_id, if_match)

    @router.post(
        "/v1/keys/{key_id}/secrets",
        status_code=201,
        responses=reading(404, 409, 412),
        summary="Give an API key another secret",
        description="The new text is good beside the old one, so that nothing fails while it is "
        "brought to where it is used; then remove the old one. At most two are live.",
    )
    @act("key.secret.create")
    async def add_secret(
        key_id: str,
        request: Request,
        response: Response,
        if_match: IfMatch = None,
        caller: Caller = may_administer,
    ) -> NewKeySecret:
        kept, text = await admin.add_secret(caller, key_id, if_match)
        response.headers["cache-control"] = NO_STORE
        return NewKeySecret(number=kept.number, created_at=kept.created_at, api_key=text)

    @router.delete(
        "/v1/keys/{key_id}/secrets/{number}",
        status_code=204,
        responses=reading(404, 409),
        summary="Remove one of an API key's secrets",
    )
    @act("key.secret.remove")
    async def remove_secret(
        key_id: str, number: int, request: Request, caller: Caller = may_administer
    ) -> None:
        await admin.remove_secret(caller, key_id, number)

    return router
