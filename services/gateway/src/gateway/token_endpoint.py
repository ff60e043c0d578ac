"""The token endpoint's decisions: authlib's RFC 6749 core, its grants filled with what is ours.

authlib finds the grant and gives its errors their form. Who the client is has been proved before it
is asked, because that may have to wait for Redis, and authlib does not wait.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    BaseGrant,
    OAuth2Request,
    TokenEndpointMixin,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from gateway.client_authentication import ClientAuthentication
from gateway.client_credentials import Parameters, claimed_client_id
from gateway.domain import CLIENT_CREDENTIALS, OAUTH, TOKEN_EXCHANGE, Client
from gateway.issued_tokens import IssuedTokens
from gateway.oauth_answers import OAuthAnswer, OAuthRefused, refusal
from gateway.token_issuer import TokenIssuer
from gateway.token_targets import TokenTargets
from servicekit.errors import Unavailable
from servicekit.request_context import Principal

ACCESS_TOKEN_TYPE = f"{OAUTH}:token-type:access_token"
# authlib insists on https; TLS may end in front of the gateway, which sees plain HTTP then.
_ENDPOINT = "https://weir/oauth2/token"


class TokenEndpoint:
    """Answers token requests; waits for nothing but a client assertion's single use."""

    def __init__(
        self,
        authentication: ClientAuthentication,
        issuer: TokenIssuer,
        targets: TokenTargets,
        issued: IssuedTokens,
    ) -> None:
        self._authentication = authentication
        self._issued = issued
        self._own_audience = targets.audiences[0]
        self._server = _Server(issuer, targets)

    async def answer(
        self, form: list[tuple[str, str]], authorization: str | None, address: str = ""
    ) -> OAuthAnswer:
        """The answer to one request.

        Args:
            form: the body's parameters, in their order.
            authorization: the header of that name.
            address: where the request comes from.
        """
        client: Client | None = None
        try:
            parameters = Parameters(form)
            grant = parameters.required("grant_type")
            client = await self._authentication.authenticate(
                parameters.single, authorization, address
            )
            request = _Request(client, parameters)
            if grant == TOKEN_EXCHANGE and grant in client.grant_types:
                request.subject = await self._subject(parameters, client)
            answer: OAuthAnswer = self._server.create_token_response(request)
        except OAuthRefused as refused:
            claimed = claimed_client_id(dict(form), authorization)
            return refusal(refused, client=client, claimed_client_id=claimed)
        return answer

    async def _subject(self, parameters: Parameters, client: Client) -> Principal:
        """What the token that is to be exchanged says (RFC 8693, 2.1).

        Raises:
            OAuthRefused: it is none of this client's, or good no more.
        """
        token = parameters.required("subject_token")
        if parameters.required("subject_token_type") != ACCESS_TOKEN_TYPE:
            raise OAuthRefused("invalid_request", f"subject_token_type must be {ACCESS_TOKEN_TYPE}")
        if {"actor_token", "actor_token_type"} & parameters.single.keys():
            raise OAuthRefused("invalid_request", "Nobody can act for somebody else here.")
        wanted = parameters.single.get("requested_token_type", ACCESS_TOKEN_TYPE)
        if wanted != ACCESS_TOKEN_TYPE:
            raise OAuthRefused("invalid_request", "Access tokens alone are issued.")
        try:
            subject = await self._issued.find(token)
        except Unavailable as error:
            raise OAuthRefused(
                "temporarily_unavailable", error.message, status=503, retry_after=error.retry_after
            ) from error
        owner = (client.client_id, client.tenant)
        if (
            subject is None
            or (subject.client_id, subject.tenant) != owner
            # One that was narrowed to somebody else's audience is not widened to ours.
            or subject.claims.get("aud") != self._own_audience
        ):
            # RFC 8693, 2.2.2: whatever is wrong with the token, the request is invalid.
            raise OAuthRefused(
                "invalid_request", "The subject_token is none that this client may exchange."
            )
        return subject


class _Request(OAuth2Request):  # type: ignore[misc]  # authlib comes without types
    """A token request of a client that has proved to be one."""

    def __init__(self, client: Client, parameters: Parameters) -> None:
        super().__init__("POST", _ENDPOINT)
        self.payload = BasicOAuth2Payload(parameters.single)
        self.client = client
        self.parameters = parameters
        self.subject: Principal | None = None

    def requested_scopes(self, allowed: frozenset[str]) -> list[str]:
        """What it asks for, by default all that is allowed, in order.

        Raises:
            OAuthRefused: it asks for more.
        """
        requested = frozenset((self.payload.scope or "").split())
        if not requested <= allowed:
            raise OAuthRefused("invalid_scope", "The client may not have a scope that it asks for.")
        return sorted(requested or allowed)


class _Grant(TokenEndpointMixin, BaseGrant):  # type: ignore[misc]  # authlib comes without types
    """What both grants have in common."""

    def validate_token_request(self) -> None:
        client: Client = self.request.client
        if self.GRANT_TYPE not in client.grant_types:
            raise UnauthorizedClientError("The client may not use this grant_type.")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        return 200, self.server.issue(self.request), self.TOKEN_RESPONSE_HEADER


class _ClientCredentials(_Grant):
    GRANT_TYPE = CLIENT_CREDENTIALS


class _TokenExchange(_Grant):
    """RFC 8693, for less: fewer scopes, another audience, never more and never longer."""

    GRANT_TYPE = TOKEN_EXCHANGE


class _Server(AuthorizationServer):  # type: ignore[misc]  # authlib comes without types
    def __init__(self, issuer: TokenIssuer, targets: TokenTargets) -> None:
        super().__init__()
        self._issuer = issuer
        self._targets = targets
        self.register_grant(_ClientCredentials)
        self.register_grant(_TokenExchange)

    def issue(self, request: _Request) -> dict[str, Any]:
        client, subject = request.client, request.subject
        # What was taken from the client since the subject's token was issued is gone at once.
        allowed = client.scopes & subject.scopes if subject else client.scopes
        scopes = request.requested_scopes(allowed)
        token = self._issuer.issue(
            client.client_id,
            client.tenant,
            scopes,
            client.keeping,
            audience=self._targets.chosen(request.parameters),
            not_after=subject.expires_at if subject else float("inf"),
        )
        request.token_id = token.token_id
        body = {
            "access_token": token.value,
            "token_type": "Bearer",
            "expires_in": token.lifetime,
            "scope": " ".join(scopes),
        }
        return body | {"issued_token_type": ACCESS_TOKEN_TYPE} if subject else body

    def create_token_response(self, request: _Request) -> OAuthAnswer:
        status, body, _ = super().create_token_response(request)
        if status >= 400:
            error = OAuthRefused(body["error"], body.get("error_description", ""), status=status)
            return refusal(error, client=request.client, claimed_client_id=request.client.client_id)
        return OAuthAnswer(
            status,
            body,
            client=request.client,
            claimed_client_id=request.client.client_id,
            target=request.token_id,
        )

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(
        self, status: int, body: Mapping[str, Any], headers: list[tuple[str, str]]
    ) -> tuple[int, Mapping[str, Any], list[tuple[str, str]]]:
        return status, body, headers
