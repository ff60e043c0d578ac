"""Mints access tokens as RFC 9068 profiles them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.domain import DELEGATE_SCOPE, GATEWAY_CLIENT_ID, SCOPES, Keeping
from gateway.signing_keys import KeyRing
from servicekit.identifiers import new_id

_NOTHING = Keeping()
_RENEW_BEFORE = 60.0
"""Seconds; covers a call's deadline and the clocks' differences many times over."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token."""

    value: str
    lifetime: int
    """Seconds from now until it expires."""
    token_id: str
    """Its `jti`."""
    key_id: str
    """Of the key that signed it."""


class TokenIssuer:
    """Signs tokens with the key ring's current key."""

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
        self,
        client_id: str,
        tenant: str,
        scopes: Iterable[str],
        keeping: Keeping = _NOTHING,
        *,
        audience: str = "",
        not_after: float = float("inf"),
    ) -> AccessToken:
        """A token that says: this client of this tenant may do this.

        Args:
            keeping: how records of its predictions are kept, as the claim `keeping`; a service that
                finds no such claim keeps nothing.
            audience: whom it is for; this platform by default.
            not_after: the latest that it may expire, seconds since the epoch.
        """
        now = int(self._clock())
        expires_at = int(min(now + self._lifetime, not_after))
        token_id = str(new_id())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": client_id,
            "aud": audience or self._audience,
            "client_id": client_id,
            "tenant": tenant,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": expires_at,
            "jti": token_id,
        }
        if keeping != _NOTHING:
            claims["keeping"] = {
                "input": keeping.input.value,
                "retention_class": keeping.retention_class,
            }
        key = self._keys.signing_key
        return AccessToken(key.sign(claims), expires_at - now, token_id, key.key_id)

    def knows(self, key_id: str) -> bool:
        """Whether what that key signed is good yet."""
        return key_id in self._keys.published.keys


class ServiceToken:
    """The token that the gateway's own gRPC calls carry, renewed before it expires."""

    def __init__(self, issuer: TokenIssuer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._value = ""
        self._key_id = ""
        self._renew_at = float("-inf")

    async def __call__(self) -> str:
        """A token that is good for a while yet (`servicekit.grpc_client.TokenSource`)."""
        now = self._clock()
        # The key may have been dropped before its time: somebody else had got hold of it.
        if now >= self._renew_at or not self._issuer.knows(self._key_id):
            token = self._issuer.issue(GATEWAY_CLIENT_ID, "weir", [*SCOPES, DELEGATE_SCOPE])
            self._value = token.value
            self._key_id = token.key_id
            self._renew_at = now + token.lifetime - min(_RENEW_BEFORE, token.lifetime / 2)
        return self._value
