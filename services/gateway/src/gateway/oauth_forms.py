"""The forms of the authorization server's endpoints, for the API's description."""

from typing import Any

from gateway.client_credentials import ASSERTION_TYPE
from gateway.domain import CLIENT_CREDENTIALS, TOKEN_EXCHANGE
from gateway.token_endpoint import ACCESS_TOKEN_TYPE

_CLIENT: dict[str, Any] = {
    "client_id": {"type": "string"},
    "client_secret": {"type": "string", "format": "password"},
    "client_assertion_type": {"type": "string", "const": ASSERTION_TYPE},
    "client_assertion": {
        "type": "string",
        "description": "A JWT signed with a key of the client's: iss and sub are its client_id, "
        "aud is the issuer, exp at most five minutes ahead, jti new each time.",
    },
}


def token_form() -> dict[str, Any]:
    """Of POST /oauth2/token."""
    return _form(
        ["grant_type"],
        {
            "grant_type": {"type": "string", "enum": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE]},
            "scope": {"type": "string", "examples": ["models:predict models:read"]},
            "resource": {
                "type": "string",
                "description": "Whom the token is for, by address (RFC 8707).",
            },
            "audience": {"type": "string", "description": "Whom the token is for, by name."},
            "subject_token": {
                "type": "string",
                "description": "For a token exchange: the client's own access token.",
            },
            "subject_token_type": {"type": "string", "const": ACCESS_TOKEN_TYPE},
            "requested_token_type": {"type": "string", "const": ACCESS_TOKEN_TYPE},
        },
    )


def held_token_form() -> dict[str, Any]:
    """Of POST /oauth2/introspect and /oauth2/revoke."""
    return _form(
        ["token"],
        {
            "token": {"type": "string"},
            "token_type_hint": {"type": "string", "description": "Not needed."},
        },
    )


def refusals() -> dict[int | str, dict[str, Any]]:
    """The errors that all of them answer with (RFC 6749, 5.2)."""
    told = {
        400: "The request is wrong; `error` says how.",
        401: "The client has not proved who it is.",
        403: "The client lacks a scope.",
        413: "The form is too long.",
        415: "The body is no form.",
        429: "Too many logins have failed; `Retry-After` says when to try again.",
        503: "What the answer needs is away for the moment.",
    }
    return {status: {"description": description} for status, description in told.items()}


def _form(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": properties | _CLIENT}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
