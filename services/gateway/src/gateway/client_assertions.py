"""Client assertions: a client proves itself with a key of its own (private_key_jwt, RFC 7523)."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.domain import Client
from gateway.oauth_answers import LoginRefused

LONGEST_LIFE = 300
"""Seconds that an assertion may be good for yet."""
LEEWAY = 5
"""Seconds that the client's clock may be wrong."""
_MAX_ID = 256
_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})

Key = ECKey | RSAKey | OKPKey


@dataclass(frozen=True, slots=True)
class _Algorithm:
    kind: type[ECKey] | type[RSAKey] | type[OKPKey]
    kty: str
    curve: str | None
    nobodys: Mapping[str, Any]
    """A public key without an owner, as a JWK."""


def _without_owner(key: Key) -> Mapping[str, Any]:
    return dict(key.as_dict(private=False))


def _algorithms() -> dict[str, _Algorithm]:
    rsa = _Algorithm(RSAKey, "RSA", None, _without_owner(RSAKey.generate_key(2048)))
    edwards = _Algorithm(OKPKey, "OKP", "Ed25519", _without_owner(OKPKey.generate_key("Ed25519")))
    return {
        "ES256": _Algorithm(ECKey, "EC", "P-256", _without_owner(ECKey.generate_key("P-256"))),
        "RS256": rsa,
        "PS256": rsa,
        "Ed25519": edwards,
        "EdDSA": edwards,
    }


ALGORITHMS = ("ES256", "RS256", "PS256", "Ed25519", "EdDSA")
"""The last is an older name of the one before (RFC 9864). None has a shared secret, which what a
client publishes could be taken for."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a good assertion says."""

    client: Client
    token_id: str
    """Its `jti`, of which there is one for each use."""
    expires_at: float


class AssertionVerifier:
    """Checks assertions against the keys that clients have registered.

    Each costs one signature check, whether its client exists or not, so that the time taken tells
    nobody which do.

    Args:
        find: the client of an id.
        audiences: of which an assertion must name one: the issuer, or the token endpoint.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        find: Callable[[str], Client | None],
        audiences: Sequence[str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._find = find
        self._audiences = frozenset(audiences)
        self._clock = clock
        self._algorithms = _algorithms()

    def verify(self, assertion: str) -> Assertion:
        """What the assertion says.

        Raises:
            LoginRefused: it proves nothing.
        """
        try:
            unproved = jws.extract_compact(assertion.encode("ascii"))
            header = unproved.headers()
            claims = json.loads(unproved.payload)
        except (JoseError, ValueError, RecursionError) as error:
            raise LoginRefused("assertion_malformed") from error
        name = header.get("alg")
        algorithm = self._algorithms.get(name) if isinstance(name, str) else None
        if algorithm is None or name is None:
            raise LoginRefused("assertion_algorithm")
        if str(header.get("typ", "")).lower() not in _TYPES or "crit" in header:
            raise LoginRefused("assertion_header")
        if not isinstance(claims, dict) or not isinstance(claims.get("sub"), str):
            raise LoginRefused("assertion_claims")
        client = self._find(claims["sub"])
        fitting = _fitting_keys(client, algorithm, name, header.get("kid"))
        (jwk,) = fitting if len(fitting) == 1 else (algorithm.nobodys,)
        if not _is_signed(assertion, algorithm.kind.import_key(dict(jwk)), name):
            raise LoginRefused("assertion_signature")
        if client is None or len(fitting) != 1:
            raise LoginRefused("assertion_key_unknown")
        return self._checked(claims, client)

    def seconds_left(self, assertion: Assertion) -> float:
        """Until it expires."""
        return assertion.expires_at - self._clock()

    def _checked(self, claims: Mapping[str, Any], client: Client) -> Assertion:
        """RFC 7523, 3."""
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(one, str) and one in self._audiences for one in named):
            raise LoginRefused("assertion_audience")
        token_id = claims.get("jti")
        if claims.get("iss") != claims["sub"]:
            raise LoginRefused("assertion_claims")
        if not isinstance(token_id, str) or not 0 < len(token_id) <= _MAX_ID:
            raise LoginRefused("assertion_claims")
        now = self._clock()
        expires_at = claims.get("exp")
        if not _is_moment(expires_at) or expires_at <= now - LEEWAY:
            raise LoginRefused("assertion_expired")
        if expires_at > now + LONGEST_LIFE + LEEWAY:
            raise LoginRefused("assertion_lives_too_long")
        for name in ("iat", "nbf"):
            moment = claims.get(name, 0)
            if not _is_moment(moment) or moment > now + LEEWAY:
                raise LoginRefused("assertion_not_yet_valid")
        return Assertion(client, token_id, float(expires_at))


def _fitting_keys(
    client: Client | None, algorithm: _Algorithm, name: str, key_id: object
) -> list[Mapping[str, Any]]:
    """The client's keys that may have signed; one alone will be tried."""
    return [
        key
        for key in (client.public_keys if client else ())
        if key.get("kty") == algorithm.kty
        and (algorithm.curve is None or key.get("crv") == algorithm.curve)
        and key.get("alg", name) == name
        and key.get("use", "sig") == "sig"
        and (key_id is None or key.get("kid") == key_id)
    ]


def _is_signed(assertion: str, key: Key, algorithm: str) -> bool:
    try:
        if isinstance(public := key.public_key, Ed25519PublicKey):
            # Not the library's own check, which warns of the older name.
            signed, _, signature = assertion.rpartition(".")
            public.verify(urlsafe_b64decode(f"{signature}=="), signed.encode("ascii"))
        else:
            jws.deserialize_compact(assertion, key, algorithms=[algorithm])
    except (JoseError, InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_moment(value: object) -> TypeGuard[int | float]:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value < 1e12  # not NaN, not infinite
    )
