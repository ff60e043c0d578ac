"""The token endpoint and what the gateway publishes about it."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import Counter
from starlette.responses import JSONResponse, Response

from gateway.audit_trail import AuditTrail
from gateway.domain import SCOPES
from gateway.request_body import read_form
from gateway.signing_keys import KeyRing
from gateway.token_endpoint import TokenEndpoint

TOKENS = Counter("weir_token_requests_total", "Answered token requests.", ["outcome"])
_MAX_FORM_BYTES = 16 * 1024
_PUBLIC = {"cache-control": "public, max-age=300"}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "const": "client_credentials"},
                        "scope": {"type": "string", "examples": ["models:predict models:read"]},
                        "client_id": {"type": "string"},
                        "client_secret": {"type": "string", "format": "password"},
                    },
                }
            }
        },
    }
}


def oauth_routes(
    endpoint: TokenEndpoint, keys: KeyRing, audit: AuditTrail, *, issuer: str
) -> APIRouter:
    """The routes of the authorization server."""
    router = APIRouter(tags=["identity"])
    metadata = _metadata(issuer.rstrip("/"))

    @router.post("/oauth2/token", openapi_extra=_FORM, summary="Get an access token")
    async def token(request: Request) -> Response:
        """The secret comes by HTTP Basic or in the form (RFC 6749, 4.4)."""
        form = await read_form(request, _MAX_FORM_BYTES)
        answer = endpoint.answer(form, request.headers.get("authorization"))
        TOKENS.labels(answer.error or "issued").inc()
        audit.record(
            "token.issue",
            client_id=answer.claimed_client_id[:128],
            tenant=answer.client.tenant if answer.client else "",
            client_address=request.client.host if request.client else "",
            reason=answer.error,
        )
        return JSONResponse(dict(answer.body), answer.status, dict(answer.headers))

    @router.get("/.well-known/jwks.json", summary="The keys that verify access tokens")
    async def jwks() -> Response:
        """A JWK set (RFC 7517)."""
        return JSONResponse(keys.jwks(), headers=_PUBLIC)

    @router.get("/.well-known/oauth-authorization-server", summary="What the issuer can do")
    async def authorization_server() -> Response:
        """Metadata (RFC 8414)."""
        return JSONResponse(metadata, headers=_PUBLIC)

    return router


def _metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth2/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "scopes_supported": list(SCOPES),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "service_documentation": f"{issuer}/docs",
    }
