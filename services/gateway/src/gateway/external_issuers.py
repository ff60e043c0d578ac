"""Takes tokens of other issuers, as far as a file trusts them."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.domain import Client, QuotaPolicy, QuotaSubject
from gateway.trusted_issuers_file import Grant, IssuerEntry
from servicekit.access_tokens import CLOCK_LEEWAY, KeySource
from servicekit.errors import Unauthenticated
from servicekit.remote_keys import algorithms_of
from servicekit.signed_tokens import (
    SignedToken,
    TokenMalformed,
    is_moment,
    is_text,
    read_signed_token,
)

_TOKEN_TYPES = frozenset({None, "JWT", "at+jwt", "application/at+jwt"})
_LONGEST_CLIENT_ID = 128
"""Characters that every service, and the log, takes for a client's id."""
_SUBJECT = re.compile(r"[!-~]+")
_CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An entry of the file, with what was made for it."""

    entry: IssuerEntry
    keys: KeySource
    quotas: tuple[QuotaPolicy, ...]


class ExternalIssuers:
    """Turns a token of a trusted issuer into the client that it makes of its bearer.

    Which issuer is asked is decided by what the token says unverified, among those of the file
    alone: a token of anybody else causes no request. Tokens that were verified once are remembered
    by their hash until they expire.
    """

    def __init__(
        self, issuers: Iterable[TrustedIssuer], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self.replace(issuers)

    def replace(self, issuers: Iterable[TrustedIssuer]) -> None:
        """Trusts these from now on, and nobody else; forgets which tokens were verified."""
        self._issuers = {issuer.entry.issuer: issuer for issuer in issuers}
        # A new one: what is being verified now is remembered in the old one, which nobody reads.
        self._verified: dict[bytes, tuple[Client, float]] = {}

    def trusts(self, issuer: str) -> bool:
        """Whether tokens that state this `iss` are taken, once they are verified."""
        return issuer in self._issuers

    async def verify(self, token: str) -> Client:
        """The client that a valid token makes of its bearer, with the scopes that it grants.

        Raises:
            Unauthenticated: malformed, forged, expired, or of an issuer that is not trusted.
            Unavailable: the issuer's keys cannot be had.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._verified
        known = verified.get(digest)
        if known is None:
            known = await self._verify(token)
            if len(verified) >= _CACHE_SIZE:
                verified.pop(next(iter(verified)))
            verified[digest] = known
        client, expires_at = known
        if expires_at + CLOCK_LEEWAY <= self._clock():
            verified.pop(digest, None)
            raise Unauthenticated("The token has expired.", reason="TOKEN_EXPIRED")
        return client

    async def _verify(self, text: str) -> tuple[Client, float]:
        try:
            token = read_signed_token(text)
        except TokenMalformed as error:
            raise _invalid("The token is malformed.") from error
        stated = token.claims.get("iss")
        issuer = self._issuers.get(stated) if isinstance(stated, str) else None
        if issuer is None:
            raise _invalid("The token comes from an issuer that is not trusted.")
        await _check_signature(token, issuer)
        audience = token.claims.get("aud")
        if issuer.entry.audience not in (audience if isinstance(audience, list) else [audience]):
            raise _invalid("The token is meant for another audience.")
        expires_at = self._check_times(token.claims, issuer.entry)
        return _client(token.claims, issuer), expires_at

    def _check_times(self, claims: dict[str, Any], entry: IssuerEntry) -> float:
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        not_before = claims.get("nbf", 0)
        if not (is_moment(issued_at) and is_moment(expires_at) and is_moment(not_before)):
            raise _invalid("The token lacks a claim.")
        if max(issued_at, not_before) > self._clock() + CLOCK_LEEWAY:
            raise _invalid("The token is not valid yet.")
        if expires_at - issued_at > entry.longest_life_seconds + CLOCK_LEEWAY:
            raise _invalid("The token is good for too long.")
        return float(expires_at)


async def _check_signature(token: SignedToken, issuer: TrustedIssuer) -> None:
    algorithm, kind = token.header["alg"], token.header.get("typ")
    if algorithm not in issuer.entry.algorithms:
        raise _invalid("The token is signed in a way that is not taken from its issuer.")
    if not (kind is None or isinstance(kind, str)) or kind not in _TOKEN_TYPES:
        raise _invalid("The token is of a type that is not taken.")
    key = await issuer.keys.find(token.key_id)
    if key is None or algorithm not in algorithms_of(key):
        raise _invalid("The token is signed with an unknown key.")
    if not token.is_signed_with(key, algorithm):
        raise _invalid("The token's signature is wrong.")


def _client(claims: dict[str, Any], issuer: TrustedIssuer) -> Client:
    entry = issuer.entry
    subject = claims.get("sub")
    longest = _LONGEST_CLIENT_ID - len(entry.name) - 1
    if not is_text(subject, longest) or not _SUBJECT.fullmatch(subject):
        raise _invalid("The token's subject cannot be a client's id.")
    scopes = [grant.allows for grant in entry.grants if _fits(grant, claims)]
    return Client(
        client_id=f"{entry.name}:{subject}",
        tenant=entry.tenant,
        secret_hashes=(),
        scopes=frozenset().union(*scopes),
        quotas=issuer.quotas,
        concurrency=entry.caps(QuotaSubject.CLIENT),
    )


def _fits(grant: Grant, claims: dict[str, Any]) -> bool:
    found: Any = claims
    for name in [grant.claim] if isinstance(grant.claim, str) else grant.claim:
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    if grant.value is None:
        return found not in (None, False)
    if isinstance(found, list):
        return any(isinstance(one, str) and one == grant.value for one in found)
    return isinstance(found, str) and (found == grant.value or grant.value in found.split(" "))


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, reason="TOKEN_INVALID")
