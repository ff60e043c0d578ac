"""Verifies access tokens: JWTs as RFC 9068 profiles them, signed with ES256."""

import hashlib
import re
import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

from joserfc.jwk import Key

from servicekit.errors import Unauthenticated
from servicekit.remote_keys import RemoteKeySource as RemoteKeySource
from servicekit.request_context import Principal
from servicekit.revocations import CLOCK_LEEWAY as CLOCK_LEEWAY
from servicekit.revocations import LONGEST_LIFE
from servicekit.signed_tokens import (
    SignedToken,
    TokenMalformed,
    is_moment,
    is_text,
    read_signed_token,
)

ALGORITHM = "ES256"
TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""The thumbprints (RFC 7638) that our keys are called by, and other plain names."""
_LONGEST_SCOPE = 4096
_CACHE_SIZE = 10_000


class KeySource(Protocol):
    """Finds an issuer's public key."""

    async def find(self, key_id: str) -> Key | None:
        """The key of that id, None if the issuer has none."""
        ...


class Revocations(Protocol):
    """Knows which tokens were revoked."""

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the token that the principal came with was."""
        ...


class AccessTokenVerifier:
    """Turns a bearer token into the principal that it speaks for.

    Tokens that were verified once are remembered by their hash until they expire, because checking
    a signature costs a hundred times as much as looking it up. Whether one was revoked is asked
    each time.

    Args:
        audience: one that a token must be meant for,
        further_audiences: or one of these.
        revocations: None where nothing is ever revoked.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        further_audiences: Collection[str] = (),
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audiences = frozenset({audience, *further_audiences}) - {""}
        self._revocations = revocations
        self._clock = clock
        self._verified: dict[bytes, Principal] = {}

    async def verify(self, token: str) -> Principal:
        """The principal of a valid token.

        Raises:
            Unauthenticated: malformed, forged, expired, revoked, or meant for somebody else.
            Unavailable: the issuer's keys cannot be had, or it is not known what was revoked.
        """
        digest = _digest(token)
        known = self._verified.get(digest)
        if known is None:
            known = await self._verify(token)
            if len(self._verified) >= _CACHE_SIZE:
                self._verified.pop(next(iter(self._verified)))
            self._verified[digest] = known
        return self._still_good(digest, known)

    def remembered(self, token: str) -> Principal | None:
        """The principal of a token that was verified before; None for any other.

        Raises:
            Unauthenticated: it has expired or was revoked since.
            Unavailable: it is not known what was revoked.
        """
        digest = _digest(token)
        known = self._verified.get(digest)
        return self._still_good(digest, known) if known else None

    def _still_good(self, digest: bytes, known: Principal) -> Principal:
        if known.expires_at + CLOCK_LEEWAY <= self._clock():
            self._verified.pop(digest, None)
            raise Unauthenticated("The access token has expired.", reason="TOKEN_EXPIRED")
        if self._revocations is not None and self._revocations.is_revoked(known):
            raise Unauthenticated("The access token was revoked.", reason="TOKEN_REVOKED")
        return known

    async def _verify(self, text: str) -> Principal:
        try:
            token = read_signed_token(text)
        except TokenMalformed as error:
            raise _invalid("The access token is malformed.") from error
        self._check_header(token)
        key = await self._keys.find(token.key_id)
        if key is None:
            raise _invalid("The access token is signed with an unknown key.")
        if not token.is_signed_with(key, ALGORITHM):
            raise _invalid("The access token's signature is wrong.")
        claims = token.claims
        if claims.get("iss") != self._issuer:
            raise _invalid("The access token comes from another issuer.")
        if not self._is_meant_for_us(claims.get("aud")):
            raise _invalid("The access token is meant for another audience.")
        self._check_times(claims)
        return _principal(claims)

    @staticmethod
    def _check_header(token: SignedToken) -> None:
        if token.header["alg"] != ALGORITHM:
            raise _invalid("The access token is not signed with ES256.")
        kind = token.header.get("typ")
        if not isinstance(kind, str) or kind not in TOKEN_TYPES:
            raise _invalid("The token is no access token.")
        # Before anybody is asked for the key.
        if not _KEY_ID.fullmatch(token.key_id):
            raise _invalid("The access token is signed with an unknown key.")

    def _is_meant_for_us(self, audience: object) -> bool:
        if isinstance(audience, list):
            return any(isinstance(one, str) and one in self._audiences for one in audience)
        return isinstance(audience, str) and audience in self._audiences

    def _check_times(self, claims: dict[str, Any]) -> None:
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        not_before = claims.get("nbf", 0)
        if not (is_moment(issued_at) and is_moment(expires_at) and is_moment(not_before)):
            raise _invalid("The access token lacks a claim.")
        if max(issued_at, not_before) > self._clock() + CLOCK_LEEWAY:
            raise _invalid("The access token is not valid yet.")
        # Revocations are remembered for so long.
        if expires_at - issued_at > LONGEST_LIFE + CLOCK_LEEWAY:
            raise _invalid("The access token is good for too long.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _principal(claims: dict[str, Any]) -> Principal:
    names = [claims.get(name) for name in ("client_id", "tenant", "jti")]
    scope = claims.get("scope")
    if not (all(is_text(name) and name for name in names) and is_text(scope, _LONGEST_SCOPE)):
        raise _invalid("The access token lacks a claim.")
    client_id, tenant, token_id = map(str, names)
    return Principal(
        client_id=client_id,
        tenant=tenant,
        scopes=frozenset(scope.split()),
        token_id=token_id,
        expires_at=float(claims["exp"]),
        issued_at=float(claims["iat"]),
        claims=claims,
    )


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, reason="TOKEN_INVALID")
