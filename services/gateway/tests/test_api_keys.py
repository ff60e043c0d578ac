"""/v1/keys, and what API keys open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.api_key_format import new_api_key
from gateway.api_key_verifier import ApiKeyVerifier
from gateway.assembly import Gateway
from gateway.client_registry import ApiKey, ClientRegistry
from gateway.domain import Client
from gateway.identity_errors import ApiKeyExpired, ApiKeyInvalid
from gateway.secret_hashes import Pepper
from testkit.issuer import FakeIssuer
from weir.events.v1 import events_pb2

from .conftest import PEPPER, Call
from .test_client_admin import OTHER, PREDICTOR
from .test_predict import refused

READING = {"scopes": ["models:read"]}


async def made(administer: Call, **fields: Any) -> dict[str, Any]:
    answer: httpx.Response = await administer("POST", "/v1/keys", READING | fields)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def opens(http: httpx.AsyncClient, text: str, path: str = "/v1/models") -> int:
    by_header = await http.get(path, headers={"x-api-key": text})
    by_bearer = await http.get(path, headers={"authorization": f"Bearer {text}"})
    assert by_header.status_code == by_bearer.status_code
    return by_header.status_code


async def test_key_opens_what_its_scopes_allow(
    administer: Call, http: httpx.AsyncClient, redis: Redis
) -> None:
    key = await made(administer, name="Batch")
    assert (key["client_id"], key["tenant"], key["name"]) == ("client-1", "tenant-1", "Batch")
    assert await opens(http, key["api_key"]) == 200
    assert await opens(http, key["api_key"], "/v1/predictions") == 403
    stored: Any = await redis.hgetall("weir:identity:keys")
    assert key["api_key"] not in repr(stored)
    read = await administer("GET", f"/v1/keys/{key['key_id']}")
    assert "api_key" not in read.json()
    assert "hmac" not in read.text


async def test_malformed_unknown_and_wrong_keys_are_refused(
    administer: Call, http: httpx.AsyncClient
) -> None:
    key = await made(administer)
    forged = new_api_key(key["key_id"]).text
    unknown = new_api_key("000000000000").text
    for text in (forged, unknown):
        answer = await http.get("/v1/models", headers={"x-api-key": text})
        refused(answer, 401, "API_KEY_INVALID")
        assert text not in answer.text
    cut = await http.get("/v1/models", headers={"x-api-key": key["api_key"][:-1]})
    assert "checksum" in refused(cut, 401, "API_KEY_MALFORMED")["detail"]
    other = await http.get("/v1/models", headers={"x-api-key": "hello"})
    refused(other, 401, "API_KEY_MALFORMED")


async def test_two_ways_at_once_are_refused(
    administer: Call, http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    text = (await made(administer))["api_key"]
    token = f"Bearer {issuer.token('models:read')}"
    for headers in (
        [("x-api-key", text), ("authorization", token)],
        [("x-api-key", text), ("authorization", f"Bearer {text}")],
        [("x-api-key", text), ("x-api-key", text)],
        [("authorization", token), ("authorization", token)],
    ):
        answer = await http.get("/v1/models", headers=headers)
        refused(answer, 400, "CREDENTIALS_AMBIGUOUS")
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]


async def test_rotation_of_a_key_fails_no_request(
    administer: Call, http: httpx.AsyncClient
) -> None:
    key = await made(administer)
    path = f"/v1/keys/{key['key_id']}/secrets"
    new = (await administer("POST", path)).json()
    assert await opens(http, key["api_key"]) == 200
    assert await opens(http, new["api_key"]) == 200
    refused(await administer("POST", path), 409, "TOO_MANY_SECRETS")
    assert (await administer("DELETE", f"{path}/1")).status_code == 204
    assert await opens(http, new["api_key"]) == 200
    assert await opens(http, key["api_key"]) == 401
    refused(await administer("DELETE", f"{path}/{new['number']}"), 409, "LAST_SECRET")


@pytest.mark.parametrize("act", ["disable", "remove", "remove its client", "disable its client"])
async def test_key_ends_with_its_removal_or_its_clients(
    administer: Call, http: httpx.AsyncClient, act: str
) -> None:
    client = (await administer("POST", "/v1/clients", PREDICTOR)).json()
    key = await made(administer, client_id=client["client_id"])
    assert await opens(http, key["api_key"]) == 200
    path = f"/v1/clients/{client['client_id']}" if "client" in act else f"/v1/keys/{key['key_id']}"
    method, body = ("DELETE", None) if "remove" in act else ("PATCH", {"disabled": True})
    assert (await administer(method, path, body)).status_code in (200, 204)
    assert await opens(http, key["api_key"]) == 401


async def test_key_loses_what_its_client_loses(administer: Call, http: httpx.AsyncClient) -> None:
    client = (await administer("POST", "/v1/clients", PREDICTOR)).json()
    key = await made(administer, client_id=client["client_id"])
    body = {"roles": [], "scopes": ["models:predict"]}
    await administer("PATCH", f"/v1/clients/{client['client_id']}", body)
    assert await opens(http, key["api_key"]) == 403


async def test_key_does_not_pass_to_a_client_that_gets_the_id_later(
    administer: Call, http: httpx.AsyncClient, redis: Redis
) -> None:
    root = ("root", "weir")
    body = {"client_id": "again", **PREDICTOR}
    await administer("POST", "/v1/clients", body, who=root)
    key = (await administer("POST", "/v1/keys", READING | {"client_id": "again"}, who=root)).json()
    raw: Any = await redis.hget("weir:identity:keys", key["key_id"])
    await administer("DELETE", "/v1/clients/again", who=root)
    await redis.hset("weir:identity:keys", key["key_id"], raw)
    await administer("POST", "/v1/clients", body, who=root)
    assert await opens(http, key["api_key"]) == 401


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"tenant": "tenant-2"}, 422, "INVALID_INPUT"),
        ({"secrets": []}, 422, "INVALID_INPUT"),
        ({"scopes": []}, 422, "INVALID_INPUT"),
        ({"scopes": ["drift:read"], "client_id": "frugal"}, 422, "INVALID_INPUT"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "INVALID_INPUT"),
        ({"expires_at": "2999-01-01"}, 422, "INVALID_INPUT"),
        ({"client_id": "client-2"}, 404, "IDENTITY_NOT_FOUND"),
        ({"client_id": "nobody"}, 404, "IDENTITY_NOT_FOUND"),
    ],
)
async def test_wrong_key_is_refused(
    administer: Call, fields: dict[str, Any], status: int, code: str
) -> None:
    refused(await administer("POST", "/v1/keys", READING | fields), status, code)


async def test_nobody_gives_a_key_more_than_they_hold(administer: Call) -> None:
    few = ["admin", "models:read"]
    body = {"scopes": ["models:predict"]}
    refused(await administer("POST", "/v1/keys", body, scopes=few), 403, "SCOPE_NOT_HELD")
    key = await made(administer, scopes=["models:predict"], expires_at="2999-01-01T00:00:00Z")
    path = f"/v1/keys/{key['key_id']}"
    longer = await administer("PATCH", path, {"expires_at": None}, scopes=few)
    refused(longer, 403, "SCOPE_NOT_HELD")
    refused(await administer("POST", f"{path}/secrets", scopes=few), 403, "SCOPE_NOT_HELD")


async def test_another_tenants_key_is_unknown(administer: Call) -> None:
    path = f"/v1/keys/{(await made(administer))['key_id']}"
    for method, suffix in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/secrets"),
        ("DELETE", "/secrets/1"),
    ]:
        body = {} if method == "PATCH" else None
        answer = await administer(method, path + suffix, body, who=OTHER)
        refused(answer, 404, "IDENTITY_NOT_FOUND")
    assert (await administer("GET", "/v1/keys", who=OTHER)).json()["keys"] == []


async def test_keys_are_listed_by_client_and_changed_by_revision(administer: Call) -> None:
    key = await made(administer)
    await made(administer, client_id="frugal", scopes=["models:predict"])
    listed = (await administer("GET", "/v1/keys?client_id=client-1")).json()["keys"]
    assert [each["key_id"] for each in listed] == [key["key_id"]]
    path = f"/v1/keys/{key['key_id']}"
    changed = await administer("PATCH", path, {"name": "B"}, if_match='"1"')
    assert (changed.json()["name"], changed.headers["etag"]) == ("B", '"2"')
    outdated = await administer("PATCH", path, {"name": "C"}, if_match='"1"')
    refused(outdated, 412, "REVISION_OUTDATED")


async def test_refused_key_is_audited_by_its_id(
    http: httpx.AsyncClient, gateway: Gateway, redis: Redis
) -> None:
    text = new_api_key("000000000000").text
    await http.get("/v1/models", headers={"x-api-key": text})
    await gateway.audit.flush()
    ((_, entry),) = await redis.xrange("weir:audit")
    event = events_pb2.AuditRecorded.FromString(entry[b"data"])
    assert (event.action, event.target) == ("key.authenticate", "000000000000")
    assert (event.outcome, event.reason) == (events_pb2.AUDIT_OUTCOME_REFUSED, "API_KEY_INVALID")


class Uses:
    """Counts what would be stored."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def note(self, key_id: str, moment: float) -> None:
        self.noted.append(key_id)


def test_verified_key_is_remembered_until_it_expires_or_the_registry_changes() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pepper = Pepper(PEPPER)
    key = new_api_key("0" * 12)
    client = Client("c", "t", (), frozenset(), (), key_id=key.key_id)
    hashes = (pepper.hash(key.text),)
    registry = ClientRegistry([], pepper)
    registry.replace(
        [], {key.key_id: ApiKey(client, hashes, (now + timedelta(1)).timestamp())}, pepper
    )
    uses = Uses()
    clock = now
    verifier = ApiKeyVerifier(registry, uses, clock=lambda: clock.timestamp())
    assert verifier.verify(key.text) == client == verifier.verify(key.text)
    assert uses.noted == [key.key_id] * 2
    clock += timedelta(1)
    with pytest.raises(ApiKeyExpired):
        verifier.verify(key.text)
    clock = now
    registry.replace([], {}, pepper)
    with pytest.raises(ApiKeyInvalid):
        verifier.verify(key.text)
