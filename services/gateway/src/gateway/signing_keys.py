"""The keys that sign access tokens, one after the other, and the public halves that all may have.

A key's state follows from the clock and from when each key begins to sign:

- next: published, so that verifiers have it in time, and not used yet;
- current: signs;
- retiring: verifies what it signed until the last of it has expired; then it is dropped.

So all gateways that read the same keys change over at the same moment, without a word.
"""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, KeySet
from prometheus_client import Gauge

ALGORITHM = "ES256"
CURVE = "P-256"
PUBLISHED_MAX_AGE = 300
"""Seconds for which a verifier may keep the published keys, and so the least that a key must have
been published before it signs."""
RETIRES_FOR = 660.0
"""Seconds that a key verifies after its successor began to sign: no token lives longer than 600,
and a gateway whose clock is late may sign with it a little longer."""

_JSON = json.JSONEncoder(separators=(",", ":"))
_SIGNS_SINCE = Gauge(
    "weir_signing_key_since_timestamp_seconds",
    "When the key that signs access tokens began to, seconds since the epoch; 0 for a single key "
    "from a file, which has no schedule.",
)


class SigningKeyInvalid(Exception):
    """The keys cannot be used; the message says why and holds nothing of a key."""


class KeyState(StrEnum):
    """What a published key is for."""

    NEXT = "next"
    CURRENT = "current"
    RETIRING = "retiring"


class SigningKey:
    """A P-256 private key and its times, seconds since the epoch."""

    def __init__(self, key: ECKey, *, published_at: float = 0.0, signs_from: float = 0.0) -> None:
        self.key = key
        self.key_id = key.thumbprint()
        self.published_at = published_at
        self.signs_from = signs_from
        self.public = ECKey.import_key(
            dict(key.as_dict(private=False)) | {"kid": self.key_id, "use": "sig", "alg": ALGORITHM}
        )
        private = key.private_key
        if private is None:
            raise SigningKeyInvalid("a public key does not sign")
        self._private = private
        self._header = _encoded({"alg": ALGORITHM, "typ": "at+jwt", "kid": self.key_id})

    def sign(self, claims: Mapping[str, Any]) -> str:
        """An access token, a JWS in compact form (RFC 7515, 3.1; RFC 9068, 2.1).

        Done here, because a library that finds the algorithm anew for each token takes three times
        as long.
        """
        signed = self._header + b"." + _encoded(claims)
        r, s = decode_dss_signature(self._private.sign(signed, ECDSA(SHA256())))
        # RFC 7518, 3.4: both numbers, 32 bytes each.
        signature = _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return (signed + b"." + signature).decode("ascii")


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The public keys at some moment."""

    body: bytes
    """A JWK set as JSON (RFC 7517, 5)."""
    etag: str
    keys: Mapping[str, ECKey]


class KeyRing:
    """All keys that are published; a source of keys for the gateway's own verifier, too.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self, keys: Sequence[SigningKey], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self.replace(keys)

    def replace(self, keys: Sequence[SigningKey]) -> None:
        """Takes these keys instead.

        Raises:
            SigningKeyInvalid: there is none.
        """
        if not keys:
            raise SigningKeyInvalid("there is no signing key")
        self._keys = sorted(keys, key=lambda key: key.signs_from)
        self._look()

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs now."""
        self._keep_up()
        return self._current

    @property
    def published(self) -> PublishedKeys:
        """The public keys now."""
        self._keep_up()
        return self._published

    async def find(self, key_id: str) -> ECKey | None:
        """The public key of that id, None when none is published."""
        return self.published.keys.get(key_id)

    def states(self) -> dict[str, KeyState]:
        """What each published key is for, by its id; those that sign earlier come first."""
        return states_of(self._keys, self._clock())

    def _keep_up(self) -> None:
        if self._clock() >= self._good_until:
            self._look()

    def _look(self) -> None:
        now = self._clock()
        states = states_of(self._keys, now)
        published = [key for key in self._keys if key.key_id in states]
        self._current = next(key for key in published if states[key.key_id] is KeyState.CURRENT)
        body = json.dumps(KeySet([key.public for key in published]).as_dict(private=False)).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        self._published = PublishedKeys(body, etag, {key.key_id: key.public for key in published})
        changes = [key.signs_from for key in self._keys]
        changes += [moment + RETIRES_FOR for moment in changes[1:]]
        self._good_until = min((at for at in changes if at > now), default=float("inf"))
        _SIGNS_SINCE.set(self._current.signs_from)


def states_of(keys: Sequence[SigningKey], now: float) -> dict[str, KeyState]:
    """What each key is for at that moment, by its id; one that is dropped is not there."""
    ordered = sorted(keys, key=lambda key: key.signs_from)
    # The first key signs before its time, too: a clock may be late, and there is no other.
    current = max((i for i, key in enumerate(ordered) if key.signs_from <= now), default=0)
    states: dict[str, KeyState] = {}
    for i, key in enumerate(ordered):
        if i > current:
            states[key.key_id] = KeyState.NEXT
        elif i == current:
            states[key.key_id] = KeyState.CURRENT
        elif now < ordered[i + 1].signs_from + RETIRES_FOR:
            states[key.key_id] = KeyState.RETIRING
    return states


def _encoded(content: Mapping[str, Any]) -> bytes:
    return _base64url(_JSON.encode(content).encode())


def _base64url(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
