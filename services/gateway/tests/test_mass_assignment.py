"""No body sets what its route does not name: each JSON body of the description is tried.

The cases come from the API's description, so a route that is new is tried as soon as it is there.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from .conftest import Call

SMUGGLED = {
    "tenant": "tenant-2",
    "client_id": "root",
    "key_id": "k",
    "uid": "u",
    "owner": "root",
    "scopes": ["admin"],
    "roles": ["admin"],
    "is_admin": True,
    "declared_in": "file",
    "revision": 99,
    "created_at": "2026-01-01T00:00:00Z",
    "secret_hashes": ["x"],
    "api_key": "x",
    "__class__": "x",
    "__proto__": {"admin": True},
}
"""What other programs were talked into; what a route does take of it is left away for that one."""
IDS = {"model": "sentiment", "client_id": "client-1", "key_id": "client-1"}
UNKNOWN_ID = "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11"
"""For every other parameter of a path."""


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = document.get("$defs", {}).get(name) or document["components"]["schemas"][name]
    return schema


def json_bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of our own routes: the Open Inference Protocol's bodies may hold more, which nobody reads."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content and not path.startswith("/v2/"):
                schema = content["application/json"]["schema"]
                yield method.upper(), path, resolved(document, schema)


def takes_anything(schema: Any, document: dict[str, Any], where: str = "") -> Iterator[str]:
    """Objects in a schema that take members which they do not name."""
    if isinstance(schema, list):
        for each in schema:
            yield from takes_anything(each, document, where)
    if not isinstance(schema, dict):
        return
    schema = resolved(document, schema)
    if "properties" in schema and schema.get("additionalProperties") is not False:
        yield where
    for name, inner in schema.get("properties", {}).items():
        yield from takes_anything(inner, document, f"{where}.{name}")
    for word in ("items", "anyOf", "oneOf", "allOf"):
        yield from takes_anything(schema.get(word), document, where)


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def test_no_body_takes_members_that_it_does_not_name(document: dict[str, Any]) -> None:
    bodies = list(json_bodies(document))
    assert {path for _, path, _ in bodies} >= {"/predict", "/v1/clients", "/v1/keys/{key_id}"}
    for method, path, schema in bodies:
        assert list(takes_anything(schema, document)) == [], (method, path)


async def test_what_is_smuggled_into_a_body_is_refused_by_its_name(
    document: dict[str, Any], administer: Call
) -> None:
    for method, path, schema in json_bodies(document):
        extra = {name: each for name, each in SMUGGLED.items() if name not in schema["properties"]}
        names = re.findall(r"{(\w+)}", path)
        url = path.format_map({name: IDS.get(name, UNKNOWN_ID) for name in names})
        answer = await administer(method, url, extra)
        assert answer.status_code == 422, (method, path, answer.text)
        named = {fault["field"] for fault in answer.json()["errors"]}
        assert extra.keys() <= named, (method, path)
