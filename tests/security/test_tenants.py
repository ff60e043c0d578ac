"""What belongs to another tenant is not there: on every route and for every role.

The cases come from the platform's own OpenAPI document: a route that is new is tried, and a
parameter of a path that nobody has thought about fails the test.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from security.world import EVERYTHING, MINE, Operation, World

from gateway.roles import ROLES

# Hundreds of requests, also where the machine is busy.
pytestmark = pytest.mark.timeout(600)

SHARED = {"model", "version", "report_id", "reference_id"}
"""Parameters that name what all tenants share: reports are on all predictions of a model, and
references are made of them."""
UNKNOWN = {"prediction_id", "erasure_id", "incident_id"}
"""Ids that are UUIDs; an unknown one is one, too."""
NUMBERS = {"number": "1"}
"""Parameters that count within another one's thing."""
MINIMAL: dict[str, dict[str, Any]] = {
    "POST /v1/predictions/{prediction_id}/feedback": {"correct_label": "positive"},
    "POST /v1/drift/incidents/{incident_id}/silence": {"until": "2030-01-01T00:00:00Z"},
    "PATCH /v1/clients/{client_id}": {"disabled": True},
    "PATCH /v1/keys/{key_id}": {"name": "mine now"},
}
UNTELLABLE = {"request_id", "trace_id", "instance"}
"""Fields of a problem that differ between any two requests."""


def with_an_id(world: World) -> Iterator[Operation]:
    return (each for each in world.operations if set(each.parameters) - SHARED)


def send(api: httpx.Client, operation: Operation, values: dict[str, str]) -> httpx.Response:
    body = MINIMAL.get(operation.name, {}) if operation.media_type else None
    url = operation.url(**(NUMBERS | values))
    return api.request(operation.method, url, json=body)


def told(answer: httpx.Response) -> dict[str, Any]:
    content: dict[str, Any] = answer.json()
    return {name: value for name, value in content.items() if name not in UNTELLABLE}


def test_every_parameter_of_a_path_has_a_case(world: World) -> None:
    named = {name for operation in world.operations for name in operation.parameters}
    assert named - SHARED - NUMBERS.keys() - world.owned.keys() == set()
    assert {"prediction_id", "erasure_id"} <= named


@pytest.mark.parametrize("role", [*ROLES, "everything"])
def test_another_tenants_id_is_an_unknown_id(world: World, role: str) -> None:
    scopes = ROLES.get(role, EVERYTHING)
    tried = 0
    with world.api(MINE, *scopes) as api:
        for operation in with_an_id(world):
            theirs = {
                name: world.owned[name] for name in operation.parameters if name in world.owned
            }
            unknown = {
                name: str(UUID(int=UUID(value).int ^ 1)) if name in UNKNOWN else value[:-3] + "000"
                for name, value in theirs.items()
            }
            hidden, absent = send(api, operation, theirs), send(api, operation, unknown)
            expected = 404 if operation.scopes <= scopes else 403
            assert hidden.status_code == expected, (operation.name, hidden.text)
            assert absent.status_code == expected, (operation.name, absent.text)
            for name in theirs:
                # An echo of the request alone is no knowledge.
                assert json.loads(
                    json.dumps(told(hidden)).replace(theirs[name], unknown[name])
                ) == told(absent), operation.name
            tried += 1
    assert tried >= 4


@pytest.mark.parametrize("role", [*ROLES, "everything"])
def test_lists_and_files_hold_nothing_of_another_tenant(world: World, role: str) -> None:
    with world.api(MINE, *ROLES.get(role, EVERYTHING)) as api:
        for operation in world.operations:
            if operation.method != "GET" or set(operation.parameters) - SHARED:
                continue
            answer = api.get(operation.url(model="sentiment", version="1"))
            assert answer.status_code < 500, (operation.name, answer.text)
            if operation.path == "/v1/audit" and answer.status_code == 200:
                # It repeats what its own clients asked for, ids of others included.
                assert {record["tenant"] for record in answer.json()["records"]} <= {MINE}
                continue
            for secret in world.secrets:
                assert secret not in answer.text, operation.name


def test_asking_for_the_other_tenant_finds_nothing_more(world: World) -> None:
    with world.api(MINE, *EVERYTHING) as api:
        for operation in world.operations:
            for name in {"tenant", "client_id", "target"} & set(operation.queries):
                for secret in sorted(world.secrets):
                    answer = api.get(operation.path, params={name: secret})
                    assert answer.status_code < 500
                    assert found_in(answer) == [], (operation.name, name)


def found_in(answer: httpx.Response) -> list[Any]:
    """The rows of a list; none in a refusal or a statistic."""
    if answer.status_code != 200 or "json" not in answer.headers["content-type"]:
        return []
    rows = [value for value in answer.json().values() if isinstance(value, list)]
    return [
        row
        for listed in rows
        for row in listed
        # The trail repeats what its own clients asked for.
        if "bucket_start" not in row and row.get("tenant") != MINE
    ]


def test_counts_are_of_ones_own(world: World) -> None:
    with world.api(MINE, *EVERYTHING) as api:
        assert api.get("/v1/stats").json()["predictions"] == 0
        buckets = api.get("/v1/stats/series").json()["buckets"]
        assert sum(bucket["predictions"] for bucket in buckets) == 0
