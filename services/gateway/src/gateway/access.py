"""Who may pass a route: the bearer token, its scope, and the client behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.openapi.models import OAuth2, OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from gateway.client_registry import ClientRegistry
from gateway.domain import SCOPES, Client, ClientUnknown, ScopeMissing, TokenMissing
from servicekit.access_tokens import AccessTokenVerifier


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that may do what it asks for."""

    client: Client
    scopes: frozenset[str]

    def need(self, scope: str) -> None:
        """Returns if the caller holds the scope.

        Raises:
            ScopeMissing: it does not.
        """
        if scope not in self.scopes:
            raise ScopeMissing(scope)

    @property
    def client_id(self) -> str:
        """The client's id."""
        return self.client.client_id

    @property
    def tenant(self) -> str:
        """The tenant that it works for."""
        return self.client.tenant


class BearerAccess(SecurityBase):
    """A dependency: `Security(access, scopes=["models:read"])` gives the caller, or refuses."""

    def __init__(self, verifier: AccessTokenVerifier, registry: ClientRegistry) -> None:
        self._verifier = verifier
        self._registry = registry
        flow = OAuthFlowClientCredentials(tokenUrl="/oauth2/token", scopes=SCOPES)
        self.model = OAuth2(flows=OAuthFlows(clientCredentials=flow))
        self.scheme_name = "client_credentials"

    async def __call__(self, request: Request, needed: SecurityScopes) -> Caller:
        """The caller of this request (FastAPI's own hook)."""
        return await self.caller(request, needed.scopes)

    async def caller(self, request: Request, needed: Sequence[str]) -> Caller:
        """The caller of this request.

        Args:
            needed: the scopes that the route needs.

        Raises:
            TokenMissing: there is no bearer token.
            Unauthenticated: the token is no good.
            ClientUnknown: its client was removed after the token was issued.
            ScopeMissing: the token does not hold the scopes that the route needs.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenMissing("A bearer token is needed; POST /oauth2/token issues one.")
        principal = await self._verifier.verify(token.strip())
        client = self._registry.find(principal.client_id)
        if client is None or client.tenant != principal.tenant:
            raise ClientUnknown("The access token's client is not known any more.")
        # What was taken from the client after the token was issued is gone at once.
        caller = Caller(client, principal.scopes & client.scopes)
        request.state.caller = caller
        for scope in needed:
            caller.need(scope)
        return caller
