"""Who may pass a route: the access token or API key, its scopes, and the client behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request
from fastapi.openapi.models import OAuth2, OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.types import Scope

from gateway.api_key_verifier import ApiKeyVerifier
from gateway.audit_trail import AuditTrail
from gateway.client_registry import ClientRegistry
from gateway.credentials import Credential, credential_of, stated, unverified_claims
from gateway.domain import SCOPES, Client
from gateway.identity_errors import (
    ApiKeyMalformed,
    ApiKeyRefused,
    ClientUnknown,
    CredentialsAmbiguous,
    ScopeMissing,
    TokenMissing,
)
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import ServiceError, Unauthenticated
from servicekit.request_context import Principal


class ExternalIssuers(Protocol):
    """Issuers beside our own whose tokens are taken."""

    def trusts(self, issuer: str) -> bool:
        """Whether tokens of this issuer are taken."""
        ...

    async def verify(self, token: str) -> Client:
        """The client that such a token makes of its bearer."""
        ...


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
    """A dependency: `Security(access, scopes=["models:read"])` gives the caller, or refuses.

    A caller comes with an access token or with an API key; which of them is told by its form alone,
    so that nothing is tried that the caller did not mean.

    Args:
        keys: verifies API keys.
        audit: hears of tokens and API keys that were refused.
        external: verifies the tokens of other issuers; None where none is trusted.
    """

    def __init__(
        self,
        verifier: AccessTokenVerifier,
        registry: ClientRegistry,
        keys: ApiKeyVerifier,
        audit: AuditTrail,
        external: ExternalIssuers | None = None,
    ) -> None:
        self._verifier = verifier
        self._registry = registry
        self._keys = keys
        self._audit = audit
        self._external = external
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
            CredentialsAmbiguous: there is more than one credential.
            TokenMissing: there is none.
            Unauthenticated: the token or the API key is no good.
            ClientUnknown: the token's client was removed or disabled after it was issued.
            ScopeMissing: the credential does not hold the scopes that the route needs.
        """
        credential = None
        try:
            credential = credential_of(request.scope)
            caller = await self._prove(credential)
        except TokenMissing:
            # Nobody has tried to be anybody.
            raise
        except (Unauthenticated, CredentialsAmbiguous) as error:
            self._tell(request, credential, error)
            raise
        request.state.caller = caller
        for scope in needed:
            caller.need(scope)
        return caller

    def remembered(self, scope: Scope, needed: str) -> Caller | None:
        """The caller of a request where that is known without asking anybody.

        None for everybody else, which says nothing against them: `caller` finds out.

        Args:
            needed: the scope that the route needs.
        """
        try:
            credential = credential_of(scope)
            if credential.is_api_key:
                client = self._keys.remembered(credential.text)
                caller = Caller(client, client.scopes) if client else None
            else:
                principal = self._verifier.remembered(credential.text)
                caller = self._caller_of(principal) if principal else None
        except ServiceError:
            return None
        return caller if caller and needed in caller.scopes else None

    async def _prove(self, credential: Credential) -> Caller:
        text = credential.text
        if credential.is_api_key:
            client = self._keys.verify(text)
        elif self._external is not None and self._external.trusts(
            stated(unverified_claims(text), "iss")
        ):
            client = await self._external.verify(text)
        else:
            return await self._by_token(text)
        return Caller(client, client.scopes)

    def _tell(self, request: Request, credential: Credential | None, error: ServiceError) -> None:
        """Tells the trail who it was said to be; nothing of the credential itself."""
        is_key = credential.is_api_key if credential else isinstance(error, ApiKeyMalformed)
        claims = unverified_claims(credential.text) if credential and not is_key else {}
        key_id = error.key_id if isinstance(error, ApiKeyRefused) else ""
        self._audit.record(
            "key.authenticate" if is_key else "token.authenticate",
            client_id=stated(claims, "client_id", "sub"),
            tenant="",
            client_address=request.client.host if request.client else "",
            reason=error.code,
            target=key_id or stated(claims, "jti"),
        )

    async def _by_token(self, token: str) -> Caller:
        return self._caller_of(await self._verifier.verify(token))

    def _caller_of(self, principal: Principal) -> Caller:
        client = self._registry.find(principal.client_id)
        if client is None or client.tenant != principal.tenant:
            raise ClientUnknown("The access token's client is not known any more.")
        # What was taken from the client after the token was issued is gone at once.
        return Caller(client, principal.scopes & client.scopes)
