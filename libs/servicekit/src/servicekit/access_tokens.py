"""Verifies access tokens: JWTs as RFC 9068 profiles them, signed with ES256."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

import httpx
import structlog
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from servicekit.errors import Unauthenticated, Unavailable
from servicekit.request_context import Principal

_log = structlog.get_logger(__name__)

ALGORITHM = "ES256"
TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
CLOCK_LEEWAY = 5.0
"""Seconds that another machine's clock may be ahead."""
_CACHE_SIZE = 10_000


class KeySource(Protocol):
    """Finds an issuer's public key."""

    async def find(self, key_id: str) -> ECKey | None:
        """The key of that id, None if the issuer has none."""
        ...


class AccessTokenVerifier:
    """Turns a bearer token into the principal that it speaks for.

    Tokens that were verified once are remembered by their hash until they expire, because checking
    a signature costs a hundred times as much as looking it up.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._verified: dict[bytes, Principal] = {}

    async def verify(self, token: str) -> Principal:
        """The principal of a valid token.

        Raises:
            Unauthenticated: malformed, forged, expired, or meant for somebody else.
            Unavailable: the issuer's keys cannot be had.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is None:
            known = await self._verify(token)
            if len(self._verified) >= _CACHE_SIZE:
                self._verified.pop(next(iter(self._verified)))
            self._verified[digest] = known
        if known.expires_at <= self._clock():
            self._verified.pop(digest, None)
            raise Unauthenticated("The access token has expired.", reason="TOKEN_EXPIRED")
        return known

    async def _verify(self, token: str) -> Principal:
        try:
            header, claims = await self._decode(token)
        except (JoseError, ValueError, UnicodeError) as error:
            raise _invalid("The access token is malformed or its signature is wrong.") from error
        if str(header.get("typ", "")).lower() not in TOKEN_TYPES:
            raise _invalid("The token is no access token.")
        if claims.get("iss") != self._issuer:
            raise _invalid("The access token comes from another issuer.")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise _invalid("The access token is meant for another audience.")
        now = self._clock()
        for claim in ("iat", "nbf"):
            moment = claims.get(claim, 0)
            if not _is_number(moment) or moment > now + CLOCK_LEEWAY:
                raise _invalid("The access token is not valid yet.")
        return _principal(claims)

    async def _decode(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        header = jws.extract_compact(token.encode()).headers()
        if header.get("alg") != ALGORITHM:
            raise _invalid("The access token is not signed with ES256.")
        key = await self._keys.find(str(header.get("kid", "")))
        if key is None:
            raise _invalid("The access token is signed with an unknown key.")
        decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
        return decoded.header, decoded.claims


def _principal(claims: dict[str, Any]) -> Principal:
    texts = [claims.get(name) for name in ("client_id", "tenant", "jti", "scope")]
    expires_at = claims.get("exp")
    if not all(isinstance(text, str) for text in texts) or not _is_number(expires_at):
        raise _invalid("The access token lacks a claim.")
    client_id, tenant, token_id, scope = map(str, texts)
    if not client_id or not tenant:
        raise _invalid("The access token lacks a claim.")
    return Principal(
        client_id=client_id,
        tenant=tenant,
        scopes=frozenset(scope.split()),
        token_id=token_id,
        expires_at=float(expires_at),
        issued_at=float(claims.get("iat", 0)),
        claims=claims,
    )


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, reason="TOKEN_INVALID")


class RemoteKeySource:
    """The keys that an issuer publishes as a JWK set, fetched when one is missing.

    The last good set stays in use while the issuer is away; an unknown key id causes at most one
    fetch per `refetch_interval` seconds.
    """

    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient,
        *,
        refetch_interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._http = http
        self._interval = refetch_interval
        self._clock = clock
        self._keys: dict[str, ECKey] = {}
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> ECKey | None:
        """The key of that id.

        Raises:
            Unavailable: the issuer does not answer and no key was ever fetched.
        """
        if key_id not in self._keys:
            async with self._fetching:
                if key_id not in self._keys and self._may_fetch():
                    await self._fetch()
        return self._keys.get(key_id)

    def _may_fetch(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= self._interval

    async def _fetch(self) -> None:
        try:
            response = await self._http.get(self._url)
            response.raise_for_status()
            keys = KeySet.import_key_set(response.json())
        except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            _log.warning("jwks_fetch_failed", url=self._url, error=type(error).__name__)
            if not self._keys:
                raise Unavailable(
                    "The token issuer's keys cannot be fetched.",
                    reason="ISSUER_UNAVAILABLE",
                    retry_after=1.0,
                ) from error
            self._fetched_at = self._clock()
            return
        self._keys = {str(key.kid): key for key in keys if isinstance(key, ECKey)}
        self._fetched_at = self._clock()
