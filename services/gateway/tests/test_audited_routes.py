"""Each administrative route leaves an audit event, whether it was allowed or refused."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway.assembly import Gateway
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act_of
from testkit.issuer import FakeIssuer

from .backends import INCIDENT_ID, PREDICTION_ID, REFERENCE_ID
from .conftest import Call

ORDINARY = {"models:predict", "models:read", "predictions:read", "feedback:write", "drift:read"}
"""Scopes of everyday use: what only needs these is no administration."""
NEEDING_SOMEBODY = ("/v1/clients", "/v1/keys")
"""What they do is tested where there are clients and keys to do it to."""
BODIES = {
    "/v1/erasures": {"subject": "alice"},
    "/v1/drift/incidents/{incident_id}/silence": {"until": "2026-12-01T06:00:00Z"},
    "/v1/drift/models/{model}/references": {
        "version": "2",
        "from": "2026-11-01T00:00:00Z",
        "until": "2026-11-08T00:00:00Z",
        "reason": "the app",
    },
    "/v1/drift/models/{model}/references/{reference_id}/activate": {
        "version": "2",
        "reason": "rolled back",
    },
}

Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def told(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Told:
    """What the trail was told."""
    events: Told = []
    monkeypatch.setattr(
        gateway.audit, "record", lambda action, **about: events.append((action, about))
    )
    return events


def scopes_of(route: APIRoute) -> set[str]:
    return {
        scope
        for dependant in route.dependant.dependencies
        for scope in (dependant.own_oauth_scopes or ())
    }


def administrative(app: FastAPI) -> list[APIRoute]:
    routers = [each.original_router for each in app.routes if hasattr(each, "original_router")]
    return [
        route
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        and not route.path.startswith("/oauth2/")
        and scopes_of(route) - ORDINARY
    ]


async def send(
    http: httpx.AsyncClient, route: APIRoute, token: str | None, *, body: bool = True
) -> httpx.Response:
    path = route.path.format(
        model="sentiment",
        erasure_id=PREDICTION_ID,
        client_id="c",
        key_id="k",
        number=1,
        incident_id=INCIDENT_ID,
        reference_id=REFERENCE_ID,
    )
    (method,) = route.methods
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    content = BODIES.get(route.path, {}) if method != "GET" and body else None
    return await http.request(method, path, json=content, headers=headers)


def test_every_route_that_changes_something_is_ordinary_or_an_act(app: FastAPI) -> None:
    changing = [route for route in administrative(app) if route.methods - {"GET", "HEAD"}]
    assert {route.path for route in changing} >= {
        "/v1/erasures",
        "/v2/repository/models/{model}/load",
        "/v2/repository/models/{model}/unload",
        "/v1/clients/{client_id}",
        "/v1/keys/{key_id}/secrets/{number}",
    }
    assert [route.path for route in changing if act_of(route.endpoint) is None] == []


async def test_each_act_is_told_when_allowed(
    app: FastAPI, http: httpx.AsyncClient, issuer: FakeIssuer, told: Told
) -> None:
    for route in administrative(app):
        act = act_of(route.endpoint)
        if act is None or route.path.startswith(NEEDING_SOMEBODY):
            continue
        (needed,) = scopes_of(route)
        told.clear()
        answer = await send(http, route, issuer.token(needed))
        assert answer.status_code < 300, (route.path, answer.text)
        # What the log does it tells itself, before it is done.
        expected = [] if act.only_refusals else [(act.action, "", "client-1")]
        assert [(action, a["reason"], a["client_id"]) for action, a in told] == expected


async def test_each_act_is_told_when_refused(
    app: FastAPI, http: httpx.AsyncClient, issuer: FakeIssuer, told: Told
) -> None:
    for route in administrative(app):
        act = act_of(route.endpoint)
        if act is None:
            continue
        (needed,) = scopes_of(route)
        for token, reason, client in (
            (issuer.token("models:read"), "SCOPE_MISSING", "client-1"),
            (None, "TOKEN_MISSING", ""),
            (issuer.token(needed, exp=1), "TOKEN_EXPIRED", ""),
        ):
            told.clear()
            answer = await send(http, route, token)
            assert answer.status_code in (401, 403)
            # That the login was refused is an event of its own.
            ((action, about),) = [each for each in told if each[0] != "token.authenticate"]
            assert (action, about["client_id"]) == (act.action, client), route.path
            assert about["client_address"] == "127.0.0.1"
            assert about["reason"] == (reason if token is None or client else about["reason"])
            assert about["reason"]


async def test_body_that_cannot_be_is_a_refusal(
    http: httpx.AsyncClient, issuer: FakeIssuer, told: Told
) -> None:
    headers = {"authorization": f"Bearer {issuer.token('privacy:erase')}"}
    assert (await http.post("/v1/erasures", json={}, headers=headers)).status_code == 422
    ((action, about),) = told
    assert (action, about["tenant"]) == ("subject.erase", "tenant-1")
    assert about["reason"] == "INVALID_INPUT"


async def test_query_that_cannot_be_is_a_refusal(get: Call, told: Told) -> None:
    assert (await get("/v1/audit", limit="nine")).status_code == 422
    assert [(action, about["reason"]) for action, about in told] == [
        ("audit.read", "INVALID_INPUT")
    ]


async def test_target_is_what_the_path_names(
    get: Call, predict: Call, issuer: FakeIssuer, told: Told
) -> None:
    token = issuer.token("models:manage")
    await predict({}, path="/v2/repository/models/sentiment/load", token=token)
    assert [(action, about["target"]) for action, about in told] == [("model.load", "sentiment")]


async def test_no_text_that_is_sent_can_keep_an_event_from_the_trail() -> None:
    published: list[Any] = []

    class Stream:
        async def publish(self, stream: str, messages: Any) -> None:
            published.extend(messages)

    trail = AuditTrail(Stream(), stream="s", capacity=2)
    trail.record(
        "token.issue", client_id="a\0b\ud800" + "x" * 500, tenant="", client_address="", reason="r"
    )
    await trail.flush()
    (event,) = published
    assert event.client_id.startswith("a?b?x")
    assert len(event.client_id) == 128
