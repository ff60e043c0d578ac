"""Logins that fail are told to the audit trail: who claimed to be, from where, why; no secrets."""

import time
from collections import Counter
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gateway.assembly import Gateway
from weir.events.v1 import events_pb2

from ..conftest import SECRET
from .conftest import ASSERTION_KEY, RSA_KEY, asserted, assertion, client, public

GRANT = {"grant_type": "client_credentials"}
WRONG = ("client-1", "secret_wrong")


@pytest.fixture
def clients() -> list[dict[str, Any]]:
    return [
        client("client-1", "models:predict"),
        client("signer", "models:predict", public_keys=[public(ASSERTION_KEY), public(RSA_KEY)]),
    ]


@pytest.fixture
def audited(gateway: Gateway, redis: Redis) -> Any:
    async def read() -> tuple[list[Any], str]:
        await gateway.audit.flush()
        entries: Any = await redis.xrange("weir:audit")
        events = [events_pb2.AuditRecorded.FromString(fields[b"data"]) for _, fields in entries]
        return events, repr(entries)

    return read


@pytest.mark.parametrize(
    ("sent", "claimed", "reason"),
    [
        ({"auth": ("nobody", "hunter2")}, "nobody", "client_unknown"),
        ({"auth": ("client-1", "hunter2")}, *WRONG),
        (
            {"data": {"client_id": "client-1", "client_secret": "hunter2"}},
            "client-1",
            "secret_wrong",
        ),
        ({"data": {"client_id": "client-1"}}, "client-1", "credentials_missing"),
        ({"headers": {"authorization": "Basic hunter2"}}, "", "credentials_malformed"),
        ({"data": asserted("hunter2")}, "", "assertion_malformed"),
        ({"data": asserted(assertion(exp=int(time.time()) - 60))}, "signer", "assertion_expired"),
        ({"data": asserted(assertion(sub="ghost", iss="ghost"))}, "ghost", "assertion_signature"),
        ({"data": asserted(assertion(header={"kid": "x"}))}, "signer", "assertion_signature"),
        (
            {"data": {"scope": "delegate"}, "auth": ("client-1", SECRET)},
            "client-1",
            "invalid_scope",
        ),
    ],
)
async def test_failed_login_is_audited(
    http: httpx.AsyncClient, audited: Any, sent: dict[str, Any], claimed: str, reason: str
) -> None:
    answer = await http.post("/oauth2/token", **sent | {"data": GRANT | sent.get("data", {})})
    assert answer.status_code in (400, 401)
    (event,), text = await audited()
    assert (event.action, event.client_id, event.reason) == ("token.issue", claimed, reason)
    assert event.outcome == events_pb2.AUDIT_OUTCOME_REFUSED
    assert event.client_address == "127.0.0.1"
    assert "hunter2" not in text


async def test_flood_of_refusals_is_audited_once_and_counted(
    http: httpx.AsyncClient, audited: Any
) -> None:
    statuses: Counter[int] = Counter()
    # On a machine that is busy, some attempts more become allowed on the way.
    while statuses[429] < 5 and statuses.total() < 500:
        answer = await http.post("/oauth2/token", data=GRANT, auth=("client-1", "hunter2"))
        statuses[answer.status_code] += 1
    events, _ = await audited()
    assert statuses[429] == 5
    assert [(event.reason, event.target) for event in events] == [
        ("secret_wrong", ""),
        ("slow_down", ""),
        ("secret_wrong", f"({statuses[401] - 1} more)"),
        ("slow_down", "(4 more)"),
    ]


async def test_flood_of_forms_that_name_nobody_is_counted_too(
    http: httpx.AsyncClient, audited: Any
) -> None:
    for _ in range(20):
        assert (await http.post("/oauth2/token", data={"scope": "x"})).status_code == 400
    events, _ = await audited()
    assert [(event.reason, event.target) for event in events] == [
        ("invalid_request", ""),
        ("invalid_request", "(19 more)"),
    ]


async def test_replayed_assertion_is_audited(http: httpx.AsyncClient, audited: Any) -> None:
    form = GRANT | asserted(assertion())
    await http.post("/oauth2/token", data=form)
    await http.post("/oauth2/token", data=form)
    (issued, replayed), text = await audited()
    assert (issued.reason, replayed.reason) == ("", "assertion_replayed")
    assert issued.target
    assert form["client_assertion"] not in text
