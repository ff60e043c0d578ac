"""Completes the API's description with what is true of every route: its errors and its examples."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from gateway.api_examples import ANSWERS, example_of, problem_example, told
from gateway.idempotency_keys import DESCRIPTION as IDEMPOTENCY
from gateway.problems import CONTENT_TYPE, speaks_v2

MEANINGS = {
    400: "The body is not JSON that all understand alike, or a header cannot be read.",
    401: "There is no valid bearer token.",
    403: "The token lacks the scope.",
    404: "There is no such thing.",
    405: "The route takes other methods.",
    408: "The body did not come in time.",
    409: "It contradicts what is there, or the Idempotency-Key is in use.",
    412: "It was changed since it had the ETag of If-Match.",
    413: "The body is too long.",
    415: "The body is of another type or coding.",
    422: "The request has wrong fields.",
    429: "A quota is used up.",
    500: "A fault of ours.",
    502: "A service behind the gateway broke.",
    503: "A service behind the gateway is away, or something is full.",
    504: "The answer did not come in time.",
}
_ANY = (400, 500)
_WITH_TOKEN = (401, 403, 429, 503)
_OF_CLIENTS = (401, 429, 503)
"""Where clients authenticate in the request itself."""
_WITH_BODY = (408, 413, 415)
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_ONCE = frozenset({"predict", "batch", "infer", "erasures", "clients", "keys", "secrets"})
"""How the paths end that take an Idempotency-Key."""
_TIMEOUT = {
    "name": "X-Request-Timeout",
    "in": "header",
    "required": False,
    "description": "Seconds, such as 2 or 0.25, after which the answer is of no use. Less than the "
    "gateway's own limit; beyond it, that one counts.",
    "schema": {"type": "string", "pattern": r"^\d{1,6}(\.\d{1,3})?$", "examples": ["2.5"]},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": f"{IDEMPOTENCY} The answer is kept for a day; `Idempotency-Status` says "
    "whether it was `kept`, was `repeated`, or could not be kept (`not-kept`).",
    "schema": {"type": "string", "examples": ['"8e03978e-40d5-43e8-bc93-6894a57f9324"']},
}
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_OAUTH = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_V2 = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}


def complete(document: dict[str, Any]) -> None:
    """Adds to every operation what it leaves unsaid."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for path, operation in operations(document):
        _add_errors(path, operation)
        _add_headers(path, operation)
        for content in operation["responses"].get("200", {}).get("content", {}).values():
            if path in ANSWERS and not content.get("schema"):
                content.update(schema={"type": "object"}, example=ANSWERS[path])
        for content in _contents(operation):
            if "example" not in content and "examples" not in content:
                content["example"] = example_of(content.get("schema", {}), schemas)
        for parameter in operation.get("parameters", ()):
            if "example" not in parameter and "examples" not in parameter.get("schema", {}):
                parameter["example"] = example_of(parameter.get("schema", {}), schemas)
    _drop_unused(document, schemas)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation with its path."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, operation


def error_content(path: str, status: int) -> dict[str, Any]:
    """The body of an error: a problem, or where another standard rules, that one's."""
    if path.startswith("/oauth2/"):
        error = "invalid_request" if status < 500 else "server_error"
        example = {"error": error, "error_description": told(status)}
        return {"application/json": {"schema": _OAUTH, "example": example}}
    if speaks_v2(path):
        return {"application/json": {"schema": _V2, "example": {"error": told(status)}}}
    phrase = HTTPStatus(status).phrase
    return {CONTENT_TYPE: {"schema": _PROBLEM, "example": problem_example(path, status, phrase)}}


def _drop_unused(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Takes away what no route refers to: some routes are there only where a setting asks."""
    unused = {"any"}
    while unused:
        text = json.dumps(document)
        unused = {name for name in schemas if f'"#/components/schemas/{name}"' not in text}
        for name in unused:
            del schemas[name]


def _add_errors(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    has_own_validation = "HTTPValidationError" in str(responses.get("422"))
    if has_own_validation and speaks_v2(path):
        del responses["422"]
    elif has_own_validation:
        del responses["422"]["content"]
    statuses = set(_ANY)
    if operation.get("security"):
        statuses.update(_WITH_TOKEN)
    if path.startswith("/oauth2/"):
        statuses.update(_OF_CLIENTS)
    if "requestBody" in operation:
        statuses.update(_WITH_BODY)
    for status in statuses:
        responses.setdefault(str(status), {"description": MEANINGS[status]})
    for status, response in responses.items():
        if status.isdecimal() and int(status) in MEANINGS:
            _illustrate(path, int(status), response)
    operation["responses"] = dict(sorted(responses.items()))


def _illustrate(path: str, status: int, response: dict[str, Any]) -> None:
    stated = response.get("content")
    if not stated:
        response["content"] = error_content(path, status)
        return
    for media_type, content in error_content(path, status).items():
        if media_type in stated and "example" not in stated[media_type]:
            stated[media_type]["example"] = content["example"]


def _add_headers(path: str, operation: dict[str, Any]) -> None:
    if not operation.get("security"):
        return
    parameters = operation.setdefault("parameters", [])
    added = [_TIMEOUT]
    if "requestBody" in operation and path.rpartition("/")[2] in _ONCE:
        added.append(_KEY)
    known = {parameter.get("name") for parameter in parameters}
    parameters += [dict(each) for each in added if each["name"] not in known]


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for holder in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from holder.get("content", {}).values()
