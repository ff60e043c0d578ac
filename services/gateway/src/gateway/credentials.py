"""What a request says about who asks, by its form alone: nothing here is verified."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from gateway.api_key_format import PREFIX
from gateway.identity_errors import ApiKeyMalformed, CredentialsAmbiguous, TokenMissing


@dataclass(frozen=True, slots=True)
class Credential:
    """An access token or an API key."""

    text: str = field(repr=False)
    is_api_key: bool


def credential_of(scope: Scope) -> Credential:
    """The one credential of a request: `Authorization: Bearer` or `X-API-Key`.

    Raises:
        CredentialsAmbiguous: there are several, equal or not.
        TokenMissing: there is none, or one of another kind.
        ApiKeyMalformed: X-API-Key holds something else.
    """
    bearer = api_key = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if bearer is not None:
                raise CredentialsAmbiguous("The header Authorization is there twice.")
            bearer = value
        elif name == b"x-api-key":
            if api_key is not None:
                raise CredentialsAmbiguous("The header X-API-Key is there twice.")
            api_key = value
    if api_key is not None:
        if bearer is not None:
            raise CredentialsAmbiguous(
                "The request authenticates in two ways: give Authorization or X-API-Key, not both."
            )
        text = api_key.decode("latin-1").strip()
        if not text.startswith(PREFIX):
            raise ApiKeyMalformed(f"X-API-Key takes an API key, which begins with {PREFIX}.")
        return Credential(text, is_api_key=True)
    scheme, _, rest = (bearer or b"").decode("latin-1").partition(" ")
    text = rest.strip()
    if scheme.lower() != "bearer" or not text:
        raise TokenMissing(
            "An access token or an API key is needed; POST /oauth2/token issues tokens."
        )
    return Credential(text, is_api_key=text.startswith(PREFIX))


def unverified_claims(token: str) -> dict[str, Any]:
    """What a JWT states, whoever wrote it; nothing where it is none."""
    _, _, rest = token.partition(".")
    payload, _, _ = rest.partition(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def stated(claims: Mapping[str, Any], *names: str) -> str:
    """The first of the claims that is there and a text; empty where none is."""
    return next((text for name in names if isinstance(text := claims.get(name), str)), "")
