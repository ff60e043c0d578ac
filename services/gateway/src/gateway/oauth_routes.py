"""The authorization server's endpoints and what it publishes about itself."""

import hashlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter, Request
from prometheus_client import Counter
from starlette.responses import JSONResponse, Response

from gateway.audit_trail import AuditTrail
from gateway.domain import TOKEN_EXCHANGE
from gateway.oauth_answers import OAuthAnswer
from gateway.oauth_forms import held_token_form, refusals, token_form
from gateway.request_body import read_form
from gateway.revocation_endpoint import RevocationEndpoint
from gateway.server_metadata import metadata_paths, server_metadata
from gateway.signing_keys import PUBLISHED_MAX_AGE, KeyRing
from gateway.token_endpoint import TokenEndpoint
from gateway.token_introspection import TokenIntrospection

TOKENS = Counter("weir_token_requests_total", "Answered token requests.", ["outcome"])
for _outcome in ("issued", "invalid_client", "invalid_request", "invalid_grant", "invalid_scope"):
    TOKENS.labels(_outcome)
REVOKED = Counter("weir_tokens_revoked_total", "Access tokens that their clients gave up.")
_MAX_FORM_BYTES = 16 * 1024
_MAX_CLAIM = 128
_CACHE = f"public, max-age={PUBLISHED_MAX_AGE}"
# Made once: an encoder for each answer costs more than the answer.
_JSON = json.JSONEncoder()


_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "It is what `If-None-Match` names."}
}


class _JwkSet(JSONResponse):
    media_type = "application/jwk-set+json"


class Endpoint(Protocol):
    """Answers a form."""

    async def answer(
        self, form: list[tuple[str, str]], authorization: str | None, address: str = ""
    ) -> OAuthAnswer:
        """The answer to one request."""
        ...


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """What the routes are made of."""

    issuer: str
    keys: KeyRing
    token: TokenEndpoint
    introspection: TokenIntrospection
    revocation: RevocationEndpoint


async def _answer(endpoint: Endpoint, request: Request, form: list[tuple[str, str]]) -> OAuthAnswer:
    address = request.client.host if request.client else ""
    return await endpoint.answer(form, request.headers.get("authorization"), address)


def token_answers(
    server: AuthorizationServer, audit: AuditTrail
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """What answers POST /oauth2/token."""

    async def token(request: Request) -> Response:
        """For a client's credentials (RFC 6749, 4.4) or, with fewer rights, its token (RFC 8693).

        The client proves itself by HTTP Basic, in the form, or with a signed assertion (RFC 7523).
        """
        form = await read_form(request, _MAX_FORM_BYTES)
        answered = await _answer(server.token, request, form)
        TOKENS.labels(answered.error or "issued").inc()
        exchanged = ("grant_type", TOKEN_EXCHANGE) in form
        _record(audit, "token.exchange" if exchanged else "token.issue", request, answered)
        return _response(answered)

    return token


def oauth_routes(server: AuthorizationServer, audit: AuditTrail) -> APIRouter:
    """The routes of the authorization server."""
    router = APIRouter(tags=["identity"])
    router.post(
        "/oauth2/token",
        openapi_extra=token_form(),
        responses=refusals(),
        summary="Get an access token",
    )(token_answers(server, audit))

    @router.post(
        "/oauth2/introspect",
        openapi_extra=held_token_form(),
        responses=refusals(),
        summary="Ask what an access token says",
    )
    async def introspect(request: Request) -> Response:
        """For resource servers (RFC 7662): clients with the scope `tokens:introspect`."""
        form = await read_form(request, _MAX_FORM_BYTES)
        answered = await _answer(server.introspection, request, form)
        if answered.error:
            _record(audit, "token.introspect", request, answered)
        return _response(answered)

    @router.post(
        "/oauth2/revoke",
        openapi_extra=held_token_form(),
        responses=refusals(),
        summary="Give an access token up",
    )
    async def revoke(request: Request) -> Response:
        """The token is refused everywhere within a second (RFC 7009)."""
        form = await read_form(request, _MAX_FORM_BYTES)
        answered = await _answer(server.revocation, request, form)
        if answered.error or answered.target:
            _record(audit, "token.revoke", request, answered)
        if answered.target:
            REVOKED.inc()
        return _response(answered)

    @router.get(
        "/.well-known/jwks.json",
        response_class=_JwkSet,
        responses=_UNCHANGED,
        summary="The keys that verify access tokens",
    )
    async def jwks(request: Request) -> Response:
        """A JWK set (RFC 7517). Fetch it again when a token names a key that is not in it."""
        published = server.keys.published
        return _published(request, published.body, published.etag, _JwkSet.media_type)

    _add_metadata(router, server.issuer)
    return router


def _add_metadata(router: APIRouter, issuer: str) -> None:
    body = json.dumps(server_metadata(issuer)).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    first, *others = metadata_paths(issuer)

    async def authorization_server(request: Request) -> Response:
        """Metadata (RFC 8414)."""
        return _published(request, body, etag, "application/json")

    router.add_api_route(
        first, authorization_server, responses=_UNCHANGED, summary="What the issuer can do"
    )
    for path in others:
        router.add_api_route(path, authorization_server, include_in_schema=False)


def _published(request: Request, body: bytes, etag: str, content_type: str) -> Response:
    headers = {"cache-control": _CACHE, "etag": etag}
    offered = request.headers.get("if-none-match", "")
    known = {one.strip().removeprefix("W/") for one in offered.split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=content_type)


def _response(answer: OAuthAnswer) -> Response:
    body = _JSON.encode(answer.body)
    return Response(body, answer.status, answer.headers, media_type="application/json")


def _record(audit: AuditTrail, action: str, request: Request, answer: OAuthAnswer) -> None:
    audit.record(
        action,
        client_id=answer.claimed_client_id[:_MAX_CLAIM],
        tenant=answer.client.tenant if answer.client else "",
        client_address=request.client.host if request.client else "",
        reason=answer.reason,
        target=answer.target,
    )
