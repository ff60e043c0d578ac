"""Lets a client give its access tokens up before they expire (RFC 7009)."""

from typing import Protocol

from gateway.client_authentication import ClientAuthentication
from gateway.client_credentials import Parameters, claimed_client_id
from gateway.domain import Client
from gateway.issued_tokens import IssuedTokens
from gateway.oauth_answers import OAuthAnswer, OAuthRefused, refusal
from servicekit.errors import Unavailable


class Revoker(Protocol):
    """Tells everybody that a token is good no more; `RevocationPublisher` does."""

    async def revoke_token(self, token_id: str, *, expires_at: float) -> None:
        """Revokes the one token with that `jti`; raises Unavailable when nobody was told."""
        ...


class RevocationEndpoint:
    """Revokes tokens of the client that asks, and of nobody else."""

    def __init__(
        self, authentication: ClientAuthentication, issued: IssuedTokens, revoker: Revoker
    ) -> None:
        self._authentication = authentication
        self._issued = issued
        self._revoker = revoker

    async def answer(
        self, form: list[tuple[str, str]], authorization: str | None, address: str = ""
    ) -> OAuthAnswer:
        """The answer to one request; as those of `TokenEndpoint`.

        A token that is unknown, expired or revoked already is what the client wants it to be.
        """
        client: Client | None = None
        claimed = claimed_client_id(dict(form), authorization)
        try:
            parameters = Parameters(form)
            client = await self._authentication.authenticate(
                parameters.single, authorization, address
            )
            token_id = await self._revoke(parameters.required("token"), client)
        except OAuthRefused as refused:
            return refusal(refused, client=client, claimed_client_id=claimed)
        return OAuthAnswer(200, {}, client=client, claimed_client_id=claimed, target=token_id)

    async def _revoke(self, token: str, client: Client) -> str:
        try:
            principal = await self._issued.find(token)
            if principal is None:
                return ""
            if principal.client_id != client.client_id:
                # RFC 7009, 2.1: the client is told. Who holds a token knows already that it is.
                raise OAuthRefused("invalid_grant", "The token was issued to another client.")
            await self._revoker.revoke_token(principal.token_id, expires_at=principal.expires_at)
        except Unavailable as error:
            # RFC 7009, 2.2.1: the client must take it that the token is good yet.
            raise OAuthRefused(
                "temporarily_unavailable",
                "The token could not be revoked; it is good yet.",
                status=503,
                retry_after=error.retry_after or 1.0,
            ) from error
        return principal.token_id
