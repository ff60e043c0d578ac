"""Every refused token and API key is on the audit trail: who, from where, why; never the secret."""

from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.api_key_format import new_api_key
from gateway.assembly import Gateway
from testkit.issuer import FakeIssuer
from weir.events.v1 import events_pb2

from .conftest import Call

UNKNOWN_KEY = new_api_key("000000000000").text


@pytest.fixture
def audited(gateway: Gateway, redis: Redis) -> Any:
    async def read() -> tuple[list[Any], str]:
        await gateway.audit.flush()
        entries: Any = await redis.xrange("weir:audit")
        events = [events_pb2.AuditRecorded.FromString(fields[b"data"]) for _, fields in entries]
        return events, repr(entries)

    return read


@pytest.mark.parametrize("path", ["/predict", "/v1/models"])
async def test_refused_token_is_audited_on_direct_and_other_routes(
    http: httpx.AsyncClient, issuer: FakeIssuer, audited: Any, path: str
) -> None:
    token = issuer.token("models:predict", exp=1, iat=0, jti="token-7")
    method = "POST" if path == "/predict" else "GET"
    answer = await http.request(method, path, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    (event,), text = await audited()
    assert (event.action, event.outcome) == (
        "token.authenticate",
        events_pb2.AUDIT_OUTCOME_REFUSED,
    )
    assert (event.client_id, event.tenant, event.target) == ("client-1", "", "token-7")
    assert (event.client_address, event.reason) == ("127.0.0.1", answer.json()["code"])
    assert event.request_id == answer.headers["x-request-id"]
    assert token not in text
    assert token.rpartition(".")[2] not in text


@pytest.mark.parametrize(
    ("headers", "action", "reason", "target"),
    [
        ({"authorization": "Bearer hunter2"}, "token.authenticate", "TOKEN_INVALID", ""),
        ({"x-api-key": UNKNOWN_KEY}, "key.authenticate", "API_KEY_INVALID", "000000000000"),
        (
            {"authorization": f"Bearer {UNKNOWN_KEY[:-1]}"},
            "key.authenticate",
            "API_KEY_MALFORMED",
            "",
        ),
        ({"x-api-key": "hunter2"}, "key.authenticate", "API_KEY_MALFORMED", ""),
        (
            {"x-api-key": UNKNOWN_KEY, "authorization": "Bearer hunter2"},
            "token.authenticate",
            "CREDENTIALS_AMBIGUOUS",
            "",
        ),
    ],
)
async def test_other_refused_credentials_are_audited(
    http: httpx.AsyncClient,
    audited: Any,
    headers: dict[str, str],
    action: str,
    reason: str,
    target: str,
) -> None:
    assert (await http.post("/predict", headers=headers)).status_code in (400, 401)
    (event,), text = await audited()
    assert (event.action, event.reason, event.target) == (action, reason, target)
    assert "hunter2" not in text
    assert UNKNOWN_KEY[:-1] not in text


async def test_who_does_not_try_is_not_refused(http: httpx.AsyncClient, audited: Any) -> None:
    assert (await http.post("/predict")).status_code == 401
    assert (await http.post("/predict", headers={"authorization": "Basic eDp5"})).status_code == 401
    events, _ = await audited()
    assert events == []


async def test_flood_leaves_two_events(http: httpx.AsyncClient, audited: Any) -> None:
    for _ in range(100):
        await http.post("/predict", headers={"authorization": "Bearer hunter2"})
    events, _ = await audited()
    assert [event.target for event in events] == ["", "(99 more)"]


async def test_flood_of_forgeries_that_all_differ_is_bounded_too(
    http: httpx.AsyncClient, issuer: FakeIssuer, audited: Any
) -> None:
    for number in range(100):
        token = issuer.token("models:predict", client_id=f"c{number}", aud="another")
        await http.post("/predict", headers={"authorization": f"Bearer {token}"})
    events, _ = await audited()
    assert len(events) == 32
    assert events[-1].target == "(69 more)"


async def test_refused_text_is_audited(get: Call, audited: Any) -> None:
    path = "/v1/predictions/0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11"
    answer = await get(path, "predictions:read", include_input="true")
    assert answer.status_code == 403
    (event,), _ = await audited()
    assert (event.action, event.reason) == ("input.read", "SCOPE_MISSING")
    assert (event.client_id, event.tenant) == ("client-1", "tenant-1")
    assert (event.client_address, event.target) == ("127.0.0.1", path.rpartition("/")[2])
