"""/v1/clients: what administrators may do, and to whom."""

from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.assembly import Gateway
from gateway.domain import SCOPES
from weir.events.v1 import events_pb2

from .conftest import SECRET, Call
from .test_predict import refused

GRANT = {"grant_type": "client_credentials"}
ROOT = ("root", "weir")
OTHER = ("client-2", "tenant-2")
PREDICTOR = {"roles": ["predictor"]}


async def made(administer: Call, **fields: Any) -> dict[str, Any]:
    answer: httpx.Response = await administer("POST", "/v1/clients", PREDICTOR | fields)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def token_status(http: httpx.AsyncClient, client_id: str, secret: str) -> int:
    return (await http.post("/oauth2/token", data=GRANT, auth=(client_id, secret))).status_code


async def test_made_client_gets_tokens_with_the_secret_that_is_shown_once(
    administer: Call, http: httpx.AsyncClient, redis: Redis
) -> None:
    answer = await administer("POST", "/v1/clients", {"name": "Shop", **PREDICTOR})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/clients/{body['client_id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert (body["tenant"], body["name"], body["declared_in"]) == ("tenant-1", "Shop", "api")
    assert body["allowed"] == ["feedback:write", "models:predict", "models:read"]
    assert await token_status(http, body["client_id"], body["client_secret"]) == 200
    read = await administer("GET", f"/v1/clients/{body['client_id']}")
    assert read.json() == {k: v for k, v in body.items() if k != "client_secret"}
    stored: Any = await redis.hgetall("weir:identity:clients")
    assert body["client_secret"] not in repr(stored)
    assert "hmac" not in answer.text + read.text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"revision": 7}, "revision"),
        ({"uid": "x"}, "uid"),
        ({"secrets": []}, "secrets"),
        ({"secret_hashes": []}, "secret_hashes"),
        ({"declared_in": "file"}, "declared_in"),
        ({"quotas": [{"limit": 1, "window_seconds": 1, "subject": "tenant"}]}, "quotas[0].subject"),
        ({"scopes": ["delegate"]}, "scopes[0]"),
        ({"roles": ["god"]}, "roles[0]"),
        ({"disabled": "no"}, "disabled"),
        ({"client_id": "mine"}, "client_id"),
        ({"public_keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "public_keys[0]"),
        ({"roles": []}, "scopes"),
        ({"name": "a\x00b"}, "name"),
    ],
)
async def test_what_is_not_to_be_given_is_refused_by_its_name(
    administer: Call, fields: dict[str, Any], field: str
) -> None:
    answer = await administer("POST", "/v1/clients", PREDICTOR | fields)
    faults = refused(answer, 422, "INVALID_INPUT")["errors"]
    assert [fault["field"] for fault in faults] == [field]
    assert "c2VjcmV0" not in answer.text


@pytest.mark.parametrize("body", [{"uid": "x"}, {"tenant": "tenant-2"}, {"client_id": "x"}])
async def test_change_takes_no_more_than_it_names(administer: Call, body: dict[str, Any]) -> None:
    client = await made(administer)
    answer = await administer("PATCH", f"/v1/clients/{client['client_id']}", body)
    refused(answer, 422, "INVALID_INPUT")


async def test_nobody_gives_scopes_that_they_do_not_hold(administer: Call) -> None:
    few = ["admin", "models:read"]
    answer = await administer("POST", "/v1/clients", PREDICTOR, scopes=few)
    assert "models:predict" in refused(answer, 403, "SCOPE_NOT_HELD")["detail"]
    client = await made(administer, roles=[], scopes=["models:read"])
    path = f"/v1/clients/{client['client_id']}"
    for body in ({"scopes": ["models:read", "drift:read"]}, {"roles": ["viewer"]}):
        refused(await administer("PATCH", path, body, scopes=few), 403, "SCOPE_NOT_HELD")


async def test_nobody_gets_at_scopes_by_the_secret_of_another_client(administer: Call) -> None:
    client = await made(administer)
    path = f"/v1/clients/{client['client_id']}/secrets"
    refused(await administer("POST", path, scopes=["admin"]), 403, "SCOPE_NOT_HELD")


async def test_nobody_makes_clients_of_another_tenant(administer: Call) -> None:
    answer = await administer("POST", "/v1/clients", {"tenant": "tenant-2", **PREDICTOR})
    refused(answer, 403, "TENANT_NOT_HELD")


async def test_administrators_of_the_platform_make_clients_of_every_tenant(
    administer: Call,
) -> None:
    body = {"client_id": "chosen", "tenant": "tenant-9", **PREDICTOR}
    answer = await administer("POST", "/v1/clients", body, who=ROOT)
    assert (answer.status_code, answer.json()["tenant"]) == (201, "tenant-9")
    again = await administer("POST", "/v1/clients", body, who=ROOT)
    refused(again, 409, "CLIENT_EXISTS")
    assert (await administer("GET", "/v1/clients/chosen", who=ROOT)).status_code == 200


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"disabled": True}),
        ("DELETE", "", None),
        ("POST", "/secrets", None),
        ("DELETE", "/secrets/1", None),
    ],
)
async def test_another_tenants_client_is_as_unknown_as_one_that_does_not_exist(
    administer: Call, method: str, suffix: str, body: object
) -> None:
    ids = [(await made(administer))["client_id"], "client-1", "nobody"]
    answers = [
        await administer(method, f"/v1/clients/{client_id}{suffix}", body, who=OTHER)
        for client_id in ids
    ]
    bodies = [refused(answer, 404, "IDENTITY_NOT_FOUND") for answer in answers]
    for each in bodies:
        del each["instance"], each["request_id"], each["trace_id"]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_client_of_the_file_is_readable_and_changed_there_alone(
    administer: Call, method: str
) -> None:
    read = await administer("GET", "/v1/clients/frugal")
    assert read.json()["declared_in"] == "file"
    answer = await administer(method, "/v1/clients/frugal", {} if method == "PATCH" else None)
    refused(answer, 409, "DECLARED_IN_FILE")


async def test_list_is_the_tenants_own_in_pages(administer: Call) -> None:
    expected = {"client-1", "frugal"} | {(await made(administer))["client_id"] for _ in range(3)}
    found: list[str] = []
    path: str | None = "/v1/clients?limit=2"
    while path:
        page = (await administer("GET", path)).json()
        found += [client["client_id"] for client in page["clients"]]
        cursor = page["next_cursor"]
        path = f"/v1/clients?limit=2&cursor={cursor}" if cursor else None
    assert found == sorted(expected)
    everybody = (await administer("GET", "/v1/clients?limit=500", who=ROOT)).json()["clients"]
    assert {client["tenant"] for client in everybody} == {"tenant-1", "tenant-2", "weir"}
    refused(await administer("GET", "/v1/clients?cursor=%C3%A9"), 422, "INVALID_INPUT")


async def test_outdated_change_is_refused(administer: Call) -> None:
    client = await made(administer)
    path = f"/v1/clients/{client['client_id']}"
    seen = (await administer("GET", path)).headers["etag"]
    changed = await administer("PATCH", path, {"name": "A"}, if_match=seen)
    assert (changed.status_code, changed.json()["revision"]) == (200, 2)
    refused(await administer("PATCH", path, {"name": "B"}, if_match=seen), 412, "REVISION_OUTDATED")
    refused(await administer("DELETE", path, if_match=seen), 412, "REVISION_OUTDATED")
    now = changed.headers["etag"]
    assert (await administer("DELETE", path, if_match=now)).status_code == 204


async def test_two_secrets_are_live_while_one_replaces_the_other(
    administer: Call, http: httpx.AsyncClient, redis: Redis
) -> None:
    client = await made(administer)
    client_id, old = client["client_id"], client["client_secret"]
    path = f"/v1/clients/{client_id}/secrets"
    added = await administer("POST", path)
    new = added.json()["client_secret"]
    assert (added.status_code, added.json()["number"]) == (201, 2)
    assert await token_status(http, client_id, old) == 200
    assert await token_status(http, client_id, new) == 200
    refused(await administer("POST", path), 409, "TOO_MANY_SECRETS")
    removed = await administer("DELETE", f"{path}/1?revoke_tokens=false")
    assert removed.status_code == 204
    assert await token_status(http, client_id, new) == 200
    assert await token_status(http, client_id, old) == 401
    assert await redis.xlen("weir:revocations") == 0
    refused(await administer("DELETE", f"{path}/2"), 409, "LAST_SECRET")
    refused(await administer("DELETE", f"{path}/7"), 404, "IDENTITY_NOT_FOUND")


async def revoked(redis: Redis) -> list[str]:
    entries: Any = await redis.xrange("weir:revocations")
    events = [events_pb2.TokensRevoked.FromString(entry[b"data"]) for _, entry in entries]
    return [event.client_id for event in events]


@pytest.mark.parametrize("act", ["disable", "remove", "rotate"])
async def test_who_loses_access_loses_it_with_tokens_and_secret(
    administer: Call, http: httpx.AsyncClient, redis: Redis, act: str
) -> None:
    client = await made(administer)
    path = f"/v1/clients/{client['client_id']}"
    if act == "disable":
        answer = await administer("PATCH", path, {"disabled": True})
    elif act == "remove":
        answer = await administer("DELETE", path)
    else:
        await administer("POST", f"{path}/secrets")
        answer = await administer("DELETE", f"{path}/secrets/1")
    assert answer.status_code in (200, 204)
    assert await token_status(http, client["client_id"], client["client_secret"]) == 401
    assert await revoked(redis) == [client["client_id"]]


async def test_scopes_are_needed_to_administer(administer: Call) -> None:
    others = set(SCOPES) - {"admin"}
    for path in ("/v1/clients", "/v1/clients/client-1", "/v1/keys"):
        refused(await administer("GET", path, scopes=others), 403, "SCOPE_MISSING")


async def test_acts_are_audited_whether_done_or_refused(
    administer: Call, gateway: Gateway, redis: Redis
) -> None:
    client = await made(administer)
    await administer("DELETE", "/v1/clients/nobody")
    await gateway.audit.flush()
    entries: Any = await redis.xrange("weir:audit")
    events = [events_pb2.AuditRecorded.FromString(entry[b"data"]) for _, entry in entries]
    assert [(event.action, event.target, event.reason) for event in events] == [
        ("client.create", client["client_id"], ""),
        ("client.remove", "nobody", "IDENTITY_NOT_FOUND"),
    ]
    assert {(event.client_id, event.tenant) for event in events} == {("client-1", "tenant-1")}
    assert client["client_secret"] not in repr(entries)
    assert SECRET not in repr(entries)
