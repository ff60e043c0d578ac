"""Reads signed tokens (JWS in compact form, RFC 7515) as strictly as they can be written."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

LONGEST = 8 * 1024
"""Characters of a token that is looked at."""
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_KEY_ID = re.compile(r"[!-~]{1,256}")
_REFUSED_HEADERS = frozenset({"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"})
"""Extensions that must be understood (we know none), and keys that a token brings along."""
_LATEST = 2**40
"""Seconds since the epoch, in some 35 000 years: what is later is no time but an attempt."""


class TokenMalformed(Exception):
    """It is no signed token, or one with something in it that we refuse; the message is for us."""


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token's parts. Nothing of it may be believed before `is_signed_with` says so."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]
    key_id: str

    def is_signed_with(self, key: Key, algorithm: str) -> bool:
        """Whether this key, with this algorithm, made the signature."""
        if self.header["alg"] != algorithm:
            return False
        try:
            jws.deserialize_compact(self.text, key, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError):
            # Also a key of another kind or curve.
            return False
        return True


def read_signed_token(text: str) -> SignedToken:
    """The parts of a token.

    Raises:
        TokenMalformed: it is too long, not canonical base64url, no JSON object with each name once,
            or its header brings its own key or asks for what we do not know.
    """
    if len(text) > LONGEST:
        raise TokenMalformed("too long")
    match = _COMPACT.fullmatch(text)
    if match is None:
        raise TokenMalformed("not three parts in base64url")
    header, claims = (_object(_bytes(part)) for part in match.group(1, 2))
    _bytes(match[3])
    if refused := _REFUSED_HEADERS & header.keys():
        raise TokenMalformed(f"header with {sorted(refused)}")
    key_id = header.get("kid")
    if not isinstance(header.get("alg"), str) or not isinstance(key_id, str):
        raise TokenMalformed("no algorithm or no key named")
    if not _KEY_ID.fullmatch(key_id):
        raise TokenMalformed("no name of a key")
    return SignedToken(text, header, claims, key_id)


def is_moment(value: object) -> TypeGuard[int | float]:
    """Whether a claim is a NumericDate (RFC 7519 §2) that one can calculate with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST


def is_text(value: object, longest: int = 256) -> TypeGuard[str]:
    """Whether a claim is a text that can be logged, stored and sent on: no control characters."""
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def _bytes(part: str) -> bytes:
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise TokenMalformed("not base64url") from error
    # The last character may carry bits that mean nothing: one token would have many forms.
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != part:
        raise TokenMalformed("not canonical base64url")
    return decoded


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise TokenMalformed("not JSON") from error
    if not isinstance(value, dict):
        raise TokenMalformed("no JSON object")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        # One reader takes the first, another the last.
        raise TokenMalformed("a name twice")
    return content


def _no_constant(name: str) -> None:
    raise TokenMalformed(f"{name} is not JSON")
