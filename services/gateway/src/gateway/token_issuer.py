"""Mints access tokens as RFC 9068 profiles them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from joserfc import jwt

from gateway.domain import DELEGATE_SCOPE, GATEWAY_CLIENT_ID, SCOPES, Keeping
from gateway.signing_keys import KeyRing
from servicekit.identifiers import new_id

_ALGORITHM = "ES256"
_NOTHING = Keeping()
_RENEW_BEFORE = 60.0
"""Seconds; covers a call's deadline and the clocks' differences many times over."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token."""

    value: str
    lifetime: int
    """Seconds from now until it expires."""


class TokenIssuer:
    """Signs tokens with the key ring's key."""

    def __init__(
        self,
        keys: KeyRing,
        *,
        issuer: str,
        audience: str,
        lifetime: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._clock = clock

    def issue(
        self, client_id: str, tenant: str, scopes: Iterable[str], keeping: Keeping = _NOTHING
    ) -> AccessToken:
        """A token that says: this client of this tenant may do this.

        Args:
            keeping: how records of its predictions are kept, as the claim `keeping`; a service that
                finds no such claim keeps nothing.
        """
        now = int(self._clock())
        header = {"alg": _ALGORITHM, "typ": "at+jwt", "kid": self._keys.key_id}
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": client_id,
            "aud": self._audience,
            "client_id": client_id,
            "tenant": tenant,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + self._lifetime,
            "jti": str(new_id()),
        }
        if keeping != _NOTHING:
            claims["keeping"] = {
                "input": keeping.input.value,
                "retention_class": keeping.retention_class,
            }
        value = jwt.encode(header, claims, self._keys.key, algorithms=[_ALGORITHM])
        return AccessToken(value, self._lifetime)


class ServiceToken:
    """The token that the gateway's own gRPC calls carry, renewed before it expires."""

    def __init__(self, issuer: TokenIssuer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._value = ""
        self._renew_at = float("-inf")

    async def __call__(self) -> str:
        """A token that is good for a while yet (`servicekit.grpc_client.TokenSource`)."""
        now = self._clock()
        if now >= self._renew_at:
            token = self._issuer.issue(GATEWAY_CLIENT_ID, "weir", [*SCOPES, DELEGATE_SCOPE])
            self._value = token.value
            self._renew_at = now + token.lifetime - min(_RENEW_BEFORE, token.lifetime / 2)
        return self._value
