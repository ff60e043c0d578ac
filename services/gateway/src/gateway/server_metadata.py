"""What the authorization server says of itself (RFC 8414)."""

from typing import Any
from urllib.parse import urlsplit

from gateway.client_assertions import ALGORITHMS
from gateway.client_credentials import METHODS
from gateway.domain import CLIENT_CREDENTIALS, SCOPES, TOKEN_EXCHANGE

_WELL_KNOWN = "/.well-known/oauth-authorization-server"


def server_metadata(issuer: str) -> dict[str, Any]:
    """The metadata of the issuer at that address."""
    # `issuer` is repeated to the letter: it must be the tokens' own `iss` (RFC 8414, 3.3).
    base = issuer.rstrip("/")
    endpoints = {
        name: f"{base}/oauth2/{path}"
        for name, path in (
            ("token", "token"),
            ("introspection", "introspect"),
            ("revocation", "revoke"),
        )
    }
    return {
        "issuer": issuer,
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "scopes_supported": list(SCOPES),
        # There is no authorization endpoint, and so no response type; the field is required.
        "response_types_supported": [],
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "service_documentation": f"{base}/docs",
        **{f"{name}_endpoint": address for name, address in endpoints.items()},
        **{f"{name}_endpoint_auth_methods_supported": list(METHODS) for name in endpoints},
        **{
            f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS)
            for name in endpoints
        },
    }


def metadata_paths(issuer: str) -> list[str]:
    """Where clients look for it: the issuer's own path comes last (RFC 8414, 3.1)."""
    path = urlsplit(issuer).path.rstrip("/")
    return list(dict.fromkeys([_WELL_KNOWN, f"{_WELL_KNOWN}{path}"]))
