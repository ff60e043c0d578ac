"""The token endpoint's decisions: authlib's RFC 6749 core over the registry of clients.

Only what authlib does not do is here: reading the request, authenticating without telling which
clients exist, and the scope of each client.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientCredentialsGrant,
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from gateway.client_registry import ClientRegistry
from gateway.domain import Client
from gateway.token_issuer import TokenIssuer

_METHODS = ["client_secret_basic", "client_secret_post"]
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
# authlib insists on https; TLS ends in front of the gateway, which sees plain HTTP.
_ENDPOINT = "https://weir/oauth2/token"


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What goes back to the client (RFC 6749, 5.1 and 5.2)."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_NO_STORE))
    client: Client | None = None
    """Who asked; None when that could not be proved."""
    claimed_client_id: str = ""

    @property
    def error(self) -> str:
        """The error code; empty when a token was issued."""
        return str(self.body.get("error", ""))


class TokenEndpoint:
    """Answers token requests; works from memory alone and never waits."""

    def __init__(self, registry: ClientRegistry, issuer: TokenIssuer) -> None:
        self._server = _Server(registry, issuer)

    def answer(self, form: list[tuple[str, str]], authorization: str | None) -> TokenAnswer:
        """The answer to one request.

        Args:
            form: the body's parameters, in their order.
            authorization: the header of that name.
        """
        # A parameter without a value counts as absent (RFC 6749, 3.2).
        given = [(name, value) for name, value in form if value]
        parameters = dict(given)
        request = OAuth2Request("POST", _ENDPOINT, headers={"Authorization": authorization})
        request.payload = BasicOAuth2Payload(parameters)
        try:
            if len(parameters) < len(given):
                raise InvalidRequestError("A parameter is there twice.")
            if "grant_type" not in parameters:
                raise InvalidRequestError("The parameter grant_type is missing.")
            if authorization and "client_secret" in parameters:
                raise InvalidRequestError("The client authenticates in two ways at once.")
            answer: TokenAnswer = self._server.create_token_response(request)
        except OAuth2Error as error:
            answer = self._server.handle_error_response(request, error)
        return TokenAnswer(
            answer.status,
            answer.body,
            answer.headers,
            client=request.client.client if request.client else None,
            claimed_client_id=_basic_credentials(authorization)[0]
            or parameters.get("client_id", ""),
        )


class _OAuthClient:
    """A registered client as authlib's core wants to see it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def check_endpoint_auth_method(self, method: str, _: str) -> bool:
        return method in _METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == ClientCredentialsGrant.GRANT_TYPE)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]  # authlib comes without types
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def validate_requested_scope(self) -> None:
        requested = set((self.request.payload.scope or "").split())
        if not requested <= self.request.client.client.scopes:
            raise InvalidScopeError("The client may not have a scope that it asks for.")


class _Server(AuthorizationServer):  # type: ignore[misc]  # authlib comes without types
    def __init__(self, registry: ClientRegistry, issuer: TokenIssuer) -> None:
        super().__init__()
        self._registry = registry
        self._issuer = issuer
        self.register_grant(_Grant)
        self.register_token_generator("default", self._generate)
        # authlib's own methods tell an unknown client from a wrong secret, in words and in time.
        self.register_client_auth_method("client_secret_basic", self._by_basic)
        self.register_client_auth_method("client_secret_post", self._by_form)

    def query_client(self, client_id: str) -> _OAuthClient | None:
        client = self._registry.find(client_id)
        return _OAuthClient(client) if client else None

    def authenticate_client(
        self, request: OAuth2Request, methods: list[str], endpoint: str = "token"
    ) -> _OAuthClient:
        try:
            client: _OAuthClient = super().authenticate_client(request, methods, endpoint)
        except InvalidClientError as error:
            raise InvalidClientError("Client authentication failed.", status_code=401) from error
        return client

    def _by_basic(self, _: object, request: OAuth2Request) -> _OAuthClient | None:
        return self._authenticate(*_basic_credentials(request.headers["Authorization"]))

    def _by_form(self, _: object, request: OAuth2Request) -> _OAuthClient | None:
        data = request.payload.data
        return self._authenticate(data.get("client_id"), data.get("client_secret"))

    def _authenticate(self, client_id: str | None, secret: str | None) -> _OAuthClient | None:
        if not client_id or not secret:
            return None
        client = self._registry.authenticate(client_id, secret)
        return _OAuthClient(client) if client else None

    def _generate(self, client: _OAuthClient, scope: str | None, **_: object) -> dict[str, Any]:
        scopes = sorted(set((scope or "").split()) or client.client.scopes)
        subject = client.client
        token = self._issuer.issue(subject.client_id, subject.tenant, scopes, subject.keeping)
        return {
            "access_token": token.value,
            "token_type": "Bearer",
            "expires_in": token.lifetime,
            "scope": " ".join(scopes),
        }

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Nothing is kept: a token proves itself until it expires."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(
        self, status: int, body: Mapping[str, Any], headers: list[tuple[str, str]]
    ) -> TokenAnswer:
        extra = dict(_NO_STORE)
        if status == 401:
            extra["www-authenticate"] = 'Basic realm="weir", charset="UTF-8"'
        return TokenAnswer(status, body, extra)


def _basic_credentials(authorization: str | None) -> tuple[str | None, str | None]:
    """The id and secret of a Basic header, form-decoded (RFC 6749, 2.3.1); None where it is bad."""
    scheme, _, encoded = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None, None
    client_id, colon, secret = text.partition(":")
    return (unquote_plus(client_id), unquote_plus(secret)) if colon else (None, None)
