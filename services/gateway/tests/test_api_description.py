"""What /openapi.json promises: every operation explained, with examples and all its errors."""

from typing import Any

import httpx
import pytest_asyncio

from gateway.api_completion import operations
from gateway.api_examples import example_of


@pytest_asyncio.fixture
async def document(http: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get("/openapi.json")).json()
    return found


async def test_every_operation_has_a_summary_and_a_tag(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        assert operation.get("summary"), path
        assert operation.get("tags"), path


async def test_every_body_and_answer_has_an_example(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type, content in holder.get("content", {}).items():
                shown = content.get("example", content.get("examples"))
                assert shown is not None, (path, media_type, content)


async def test_every_parameter_has_an_example(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            stated = {**parameter.get("schema", {}), **parameter}
            assert "example" in stated or "examples" in stated, (path, parameter["name"])


async def test_every_operation_describes_the_errors_that_any_route_may_answer(
    document: dict[str, Any],
) -> None:
    for path, operation in operations(document):
        statuses = set(operation["responses"])
        assert {"400", "500"} <= statuses, path
        if operation.get("security"):
            assert {"401", "403", "429", "503"} <= statuses, path
        if "requestBody" in operation:
            assert {"408", "413", "415"} <= statuses, path


async def test_errors_are_described_in_the_form_that_the_route_speaks(
    document: dict[str, Any],
) -> None:
    for path, operation in operations(document):
        foreign = path.startswith(("/oauth2/", "/v2"))
        for status, response in operation["responses"].items():
            if int(status) < 400 or (path.startswith("/health") and status == "503"):
                continue
            expected = "application/json" if foreign else "application/problem+json"
            assert expected in response["content"], (path, status)


async def test_references_lead_somewhere_and_nothing_unused_is_left(
    document: dict[str, Any],
) -> None:
    text = str(document)
    referenced = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert referenced == set(document["components"]["schemas"])


async def test_what_is_done_once_says_so(document: dict[str, Any]) -> None:
    names = {
        parameter["name"]
        for path in ("/predict", "/predict/batch", "/v2/models/{model}/infer")
        for parameter in document["paths"][path]["post"]["parameters"]
    }
    assert {"Idempotency-Key", "X-Request-Timeout"} <= names


def test_example_is_made_from_what_a_schema_says() -> None:
    schemas = {"Inner": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 5}}}}
    schema = {
        "type": "object",
        "properties": {
            "own": {"type": "string", "examples": ["shown"]},
            "when": {"type": "string", "format": "date-time"},
            "inner": {"anyOf": [{"$ref": "#/components/schemas/Inner"}, {"type": "null"}]},
            "kind": {"enum": ["x", "y"]},
            "always": {"const": 7},
            "many": {"type": "array", "items": {"type": "number"}},
            "flag": {"type": "boolean", "default": True},
            "by_name": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    assert example_of(schema, schemas) == {
        "own": "shown",
        "when": "2026-11-01T12:00:00Z",
        "inner": {"a": 5},
        "kind": "x",
        "always": 7,
        "many": [0.5],
        "flag": True,
        "by_name": {"name": "text"},
    }
