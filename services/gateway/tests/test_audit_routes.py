"""The audit trail over REST."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from servicekit.errors import FieldViolation, InvalidInput
from testkit.issuer import FakeIssuer

from .backends import ERASURE_ID, Backends
from .conftest import Call


@pytest.fixture
def clients(clients: list[dict[str, Any]]) -> list[dict[str, Any]]:
    operator = clients[0] | {"client_id": "operator", "tenant": "weir"}
    return [*clients, operator]


def asked(backends: Backends) -> Any:
    return backends.audit.calls.requests[-1]


async def test_page_is_the_tenants_own(get: Call, backends: Backends) -> None:
    answer = await get("/v1/audit", "audit:read", limit="3")
    assert answer.status_code == 200
    (record,) = answer.json()["records"]
    assert answer.json()["next_cursor"] is None
    assert (record["event_id"], record["reason"]) == (ERASURE_ID, "invalid_client")
    assert (record["tenant"], record["sequence"]) == (None, 7)
    request = asked(backends)
    assert (request.tenant, request.client_id, request.limit) == ("tenant-1", "client-1", 3)
    assert request.client_address == "127.0.0.1"
    assert not request.all_tenants
    assert answer.headers["cache-control"] == "no-store"


async def test_filter_is_passed_on(get: Call, backends: Backends) -> None:
    query = {
        "from": "2026-11-01T01:00:00+01:00",
        "before": "2026-12-01T00:00:00Z",
        "action": "token.",
        "client_id": "c",
        "target": "t",
        "outcome": "refused",
        "tenant": "x",
        "cursor": "next",
    }
    assert (await get("/v1/audit", **query)).status_code == 200
    matching = asked(backends).filter
    assert matching.occurred_from.ToDatetime(UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert matching.occurred_before.ToDatetime(UTC) == datetime(2026, 12, 1, tzinfo=UTC)
    assert (matching.action_prefix, matching.client_id, matching.target) == ("token.", "c", "t")
    assert (matching.outcome, matching.tenant) == ("refused", "x")
    assert asked(backends).cursor == "next"


@pytest.mark.parametrize(
    ("client_id", "tenant", "scopes", "everybody"),
    [
        ("operator", "weir", ("audit:read", "admin"), True),
        ("operator", "weir", ("audit:read",), False),
        ("client-1", "tenant-1", ("audit:read", "admin"), False),
    ],
)
async def test_platforms_administrators_see_every_tenant(
    http: httpx.AsyncClient,
    issuer: FakeIssuer,
    backends: Backends,
    client_id: str,
    tenant: str,
    scopes: tuple[str, ...],
    everybody: bool,
) -> None:
    token = issuer.token(*scopes, client_id=client_id, tenant=tenant)
    answer = await http.get("/v1/audit", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert asked(backends).all_tenants is everybody


async def test_lines_with_a_link_to_the_next_page(
    http: httpx.AsyncClient, issuer: FakeIssuer, backends: Backends
) -> None:
    backends.audit.page.next_cursor = "n/e+xt"
    headers = {
        "authorization": f"Bearer {issuer.token('audit:read')}",
        "accept": "application/x-ndjson",
    }
    answer = await http.get("/v1/audit?action=token.&cursor=this", headers=headers)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    (line,) = answer.text.splitlines()
    assert json.loads(line)["event_id"] == ERASURE_ID
    assert answer.links["next"]["url"] == "/v1/audit?action=token.&cursor=n%2Fe%2Bxt"
    backends.audit.page.next_cursor = ""
    assert "link" not in (await http.get("/v1/audit", headers=headers)).headers


async def test_what_the_log_refuses_is_called_as_in_the_query(
    get: Call, backends: Backends
) -> None:
    fault = FieldViolation("filter.action_prefix", "is odd")
    backends.audit.calls.failure = InvalidInput("No.", violations=[fault])
    answer = await get("/v1/audit", action="x")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "action", "message": "is odd"}]


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "501"}, {"outcome": "perhaps"}, {"action": "a\0"}, {"from": "now"}],
)
async def test_query_that_cannot_be_is_refused(get: Call, query: dict[str, str]) -> None:
    assert (await get("/v1/audit", **query)).status_code == 422


def test_description_has_examples(app: FastAPI) -> None:
    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert schemas["AuditRecords"]["examples"][0]["records"][0]["sequence"] == 4711
    content = document["paths"]["/v1/audit"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "application/x-ndjson"}
