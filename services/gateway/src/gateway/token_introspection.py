"""Tells resource servers what an access token says (RFC 7662)."""

from typing import Any

from gateway.client_authentication import ClientAuthentication, Registry
from gateway.client_credentials import Parameters, claimed_client_id
from gateway.domain import PLATFORM_TENANT, Client
from gateway.issued_tokens import IssuedTokens
from gateway.oauth_answers import OAuthAnswer, OAuthRefused, refusal
from servicekit.errors import Unavailable
from servicekit.request_context import Principal

SCOPE = "tokens:introspect"
_INACTIVE = {"active": False}


class TokenIntrospection:
    """Answers clients that hold the scope, about tokens of their own tenant.

    A resource server of the platform's tenant may ask about every token.
    """

    def __init__(
        self, authentication: ClientAuthentication, registry: Registry, issued: IssuedTokens
    ) -> None:
        self._authentication = authentication
        self._registry = registry
        self._issued = issued

    async def answer(
        self, form: list[tuple[str, str]], authorization: str | None, address: str = ""
    ) -> OAuthAnswer:
        """The answer to one request; as those of `TokenEndpoint`."""
        client: Client | None = None
        claimed = claimed_client_id(dict(form), authorization)
        try:
            parameters = Parameters(form)
            client = await self._authentication.authenticate(
                parameters.single, authorization, address
            )
            if SCOPE not in client.scopes:
                raise OAuthRefused(
                    "insufficient_scope", f"The client lacks the scope {SCOPE}.", status=403
                )
            body = await self._told(parameters.required("token"), client)
        except OAuthRefused as refused:
            return refusal(refused, client=client, claimed_client_id=claimed)
        return OAuthAnswer(200, body, client=client, claimed_client_id=claimed)

    async def _told(self, token: str, asker: Client) -> dict[str, Any]:
        try:
            principal = await self._issued.find(token)
        except Unavailable as error:
            raise OAuthRefused(
                "temporarily_unavailable", error.message, status=503, retry_after=error.retry_after
            ) from error
        if principal is None or asker.tenant not in (principal.tenant, PLATFORM_TENANT):
            return _INACTIVE
        holder = self._registry.find(principal.client_id)
        if holder is None or holder.disabled or holder.tenant != principal.tenant:
            return _INACTIVE
        return _description(principal, holder)


def _description(principal: Principal, holder: Client) -> dict[str, Any]:
    """RFC 7662, 2.2."""
    claims = principal.claims
    return {
        "active": True,
        # What was taken from the client since is gone for whoever asks, too.
        "scope": " ".join(sorted(principal.scopes & holder.scopes)),
        "client_id": principal.client_id,
        "token_type": "Bearer",
        "tenant": principal.tenant,
        "jti": principal.token_id,
        **{name: claims[name] for name in ("iss", "sub", "aud", "iat", "exp") if name in claims},
    }
