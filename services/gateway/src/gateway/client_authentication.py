"""Whether whoever asks the authorization server is the client that it says."""

from collections.abc import Mapping
from typing import Protocol

from gateway.attempt_limit import AttemptLimit
from gateway.client_assertions import LEEWAY, Assertion, AssertionVerifier
from gateway.client_credentials import (
    AssertionCredentials,
    SecretCredentials,
    claimed_client_id,
    credentials_of,
)
from gateway.domain import Client
from gateway.oauth_answers import LoginRefused, OAuthRefused
from servicekit.errors import Unavailable


class Registry(Protocol):
    """The clients."""

    def find(self, client_id: str) -> Client | None:
        """The client of that id."""
        ...

    def authenticate(self, client_id: str, secret: str) -> Client | None:
        """The client if the secret is one of its own; takes as long when there is no such."""
        ...


class AssertionMemory(Protocol):
    """Remembers used assertions; `UsedAssertions` does."""

    async def use(self, client_id: str, assertion_id: str, *, lifetime: float) -> bool:
        """Uses one up; False if it was already."""
        ...


class ClientAuthentication:
    """Authenticates clients by secret or assertion; who fails too often is not listened to."""

    def __init__(
        self,
        registry: Registry,
        assertions: AssertionVerifier,
        used: AssertionMemory,
        attempts: AttemptLimit,
    ) -> None:
        self._registry = registry
        self._assertions = assertions
        self._used = used
        self._attempts = attempts

    async def authenticate(
        self, parameters: Mapping[str, str], authorization: str | None, address: str
    ) -> Client:
        """The client that makes the request.

        Args:
            parameters: of the form.
            authorization: the header of that name.
            address: where the request comes from.

        Raises:
            LoginRefused: it is no client, or cannot prove that it is.
            OAuthRefused: it tells in two ways who it is; failed too often (`slow_down`); or nobody
                can say now whether its assertion is new (`temporarily_unavailable`).
        """
        claimed = claimed_client_id(parameters, authorization)
        wait = self._attempts.wait(address, claimed)
        if wait:
            raise OAuthRefused(
                "slow_down",
                "Too many logins have failed.",
                status=429,
                retry_after=wait,
            )
        try:
            match credentials_of(parameters, authorization):
                case SecretCredentials(client_id, secret):
                    client = self._by_secret(client_id, secret)
                case AssertionCredentials(assertion, stated):
                    client = await self._by_assertion(assertion, stated)
        except LoginRefused:
            self._attempts.failed(address, claimed)
            raise
        self._attempts.succeeded(address, client.client_id)
        return client

    def _by_secret(self, client_id: str, secret: str) -> Client:
        client = self._registry.authenticate(client_id, secret)
        if client is None:
            known = self._registry.find(client_id)
            raise LoginRefused("secret_wrong" if known else "client_unknown")
        return _enabled(client)

    async def _by_assertion(self, assertion: str, stated: str) -> Client:
        proved = self._assertions.verify(assertion)
        client = _enabled(proved.client)
        # RFC 7521, 4.2: beside an assertion client_id is optional, and must say the same.
        if stated and stated != client.client_id:
            raise LoginRefused("assertion_of_another_client")
        if not await self._is_new(proved):
            raise LoginRefused("assertion_replayed")
        return client

    async def _is_new(self, proved: Assertion) -> bool:
        lifetime = self._assertions.seconds_left(proved) + LEEWAY
        try:
            return await self._used.use(proved.client.client_id, proved.token_id, lifetime=lifetime)
        except Unavailable as error:
            raise OAuthRefused(
                "temporarily_unavailable",
                "Assertions cannot be checked now.",
                status=503,
                retry_after=error.retry_after or 1.0,
            ) from error


def _enabled(client: Client) -> Client:
    if client.disabled:
        raise LoginRefused("client_disabled")
    return client
