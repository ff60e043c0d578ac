"""Examples for the API's description, made from what its schemas say of their fields."""

from collections.abc import Mapping
from typing import Any

_REQUEST_ID = "7f3c1d0e9b2a4c6f8e5d3b1a09f7c2e4"
_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
_BY_FORMAT = {
    "date-time": "2026-11-01T12:00:00Z",
    "uuid": "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11",
    "binary": "(bytes)",
    "password": "(secret)",
    "uri": "https://example.com/",
}
_OF_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("BODY_MALFORMED", "The body is not JSON in UTF-8."),
    401: ("TOKEN_MISSING", "A bearer token is needed; POST /oauth2/token issues one."),
    403: ("SCOPE_MISSING", "The access token lacks the scope models:read."),
    404: ("NOT_FOUND", "There is no such thing."),
    405: ("METHOD_NOT_ALLOWED", "Specified method is invalid for this resource"),
    408: ("BODY_TOO_SLOW", "The body did not come in time."),
    409: ("CONFLICT", "It contradicts what is there already."),
    412: ("REVISION_OUTDATED", "It was changed since it had the ETag of If-Match."),
    413: ("BODY_TOO_LARGE", "The body is longer than 1048576 bytes."),
    415: ("CONTENT_TYPE_UNSUPPORTED", "The body must be application/json."),
    422: ("INVALID_INPUT", "The request has wrong fields."),
    429: ("QUOTA_EXCEEDED", "The quota of 60 predictions a minute is used up."),
    500: ("INTERNAL", "Something went wrong inside; the log knows more."),
    502: ("UPSTREAM_FAILED", "A service behind the gateway failed."),
    503: ("BACKEND_UNAVAILABLE", "A service behind the gateway is away for the moment."),
    504: ("DEADLINE_EXCEEDED", "A service behind the gateway did not answer in time."),
}

_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "alg": "ES256",
    "use": "sig",
    "kid": "Vx0FJw0tRjMZtq0mWq0hTg",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ANSWERS: Mapping[str, Any] = {
    "/oauth2/token": {
        "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiJ9.…",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "models:predict models:read",
    },
    "/oauth2/introspect": {
        "active": True,
        "client_id": "shop",
        "scope": "models:predict",
        "token_type": "Bearer",
        "exp": 1_793_534_400,
    },
    "/oauth2/revoke": {},
    "/.well-known/jwks.json": {"keys": [_KEY]},
    "/.well-known/oauth-authorization-server": {
        "issuer": "https://weir.example",
        "token_endpoint": "https://weir.example/oauth2/token",
        "jwks_uri": "https://weir.example/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
    },
}
"""What routes answer whose form is another standard's, by their paths."""


def problem_example(path: str, status: int, phrase: str) -> dict[str, Any]:
    """A problem of a status."""
    code, detail = _OF_ERRORS[status]
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
        "request_id": _REQUEST_ID,
        "trace_id": _TRACE_ID,
    }
    if status == 422:
        example["errors"] = [{"field": "text", "message": "is blank"}]
    return example


def told(status: int) -> str:
    """What an error of a status says, for forms of errors other than problems."""
    return _OF_ERRORS[status][1]


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of a JSON schema: its own example where it states one.

    Args:
        schemas: those that `$ref` may name.
    """
    if reference := schema.get("$ref"):
        return example_of(schemas[reference.rpartition("/")[2]], schemas)
    for stated in ("example", "const"):
        if stated in schema:
            return schema[stated]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if options := [each for each in schema.get(choice, ()) if each.get("type") != "null"]:
            return example_of(options[0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            inner = schema.get("additionalProperties")
            named = {
                name: example_of(field, schemas)
                for name, field in schema.get("properties", {}).items()
            }
            if not named and isinstance(inner, dict) and inner:
                return {"name": example_of(inner, schemas)}
            return named
        case "array":
            return [example_of(schema.get("items", {}), schemas)]
        case "string":
            return schema.get("default") or _BY_FORMAT.get(schema.get("format", ""), "text")
        case "integer":
            return schema.get("default") or max(1, schema.get("minimum", 1))
        case "number":
            return schema.get("default") or 0.5
        case "boolean":
            return schema.get("default", False)
    return None
