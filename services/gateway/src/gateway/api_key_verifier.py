"""Tells who comes with an API key."""

import hashlib
import time
from collections.abc import Callable

from prometheus_client import Counter

from gateway.api_key_format import key_id_of
from gateway.client_registry import ApiKey, ClientRegistry
from gateway.domain import Client
from gateway.identity_errors import ApiKeyExpired, ApiKeyInvalid, ApiKeyMalformed
from gateway.key_usage import KeyUsage

REFUSED = Counter("weir_api_keys_refused_total", "API keys that were refused.", ["reason"])
for _reason in ("expired", "malformed", "unknown"):
    REFUSED.labels(_reason)
_CACHE_SIZE = 10_000


class ApiKeyVerifier:
    """Verifies keys from memory alone.

    A key that was verified is remembered by its hash until the registry changes, which is when it
    may have been removed or disabled; that it expires is looked at each time.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        usage: KeyUsage,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._usage = usage
        self._clock = clock
        self._verified: dict[bytes, ApiKey] = {}
        self._generation = registry.generation

    def verify(self, text: str) -> Client:
        """The client as it is with this key.

        Raises:
            ApiKeyMalformed: it is no API key's text, perhaps cut or mistyped.
            ApiKeyInvalid: there is no such key, which is what a wrong secret is told as well.
            ApiKeyExpired: it was good until its time.
        """
        self._forget_outdated()
        digest = _digest(text)
        key = self._verified.get(digest)
        if key is None:
            key = self._look_up(text)
            if len(self._verified) >= _CACHE_SIZE:
                self._verified.pop(next(iter(self._verified)))
            self._verified[digest] = key
        now = self._clock()
        if _has_expired(key, now):
            REFUSED.labels("expired").inc()
            raise ApiKeyExpired("The API key has expired.", key_id=key.client.key_id)
        self._usage.note(key.client.key_id, now)
        return key.client

    def remembered(self, text: str) -> Client | None:
        """The client as it is with a key that was verified before and is good; None for others."""
        self._forget_outdated()
        key = self._verified.get(_digest(text))
        now = self._clock()
        if key is None or _has_expired(key, now):
            return None
        self._usage.note(key.client.key_id, now)
        return key.client

    def _forget_outdated(self) -> None:
        if self._generation != self._registry.generation:
            self._verified.clear()
            self._generation = self._registry.generation

    def _look_up(self, text: str) -> ApiKey:
        key_id = key_id_of(text)
        if key_id is None:
            REFUSED.labels("malformed").inc()
            raise ApiKeyMalformed("The API key is cut or mistyped: its checksum does not match.")
        key = self._registry.authenticate_key(key_id, text)
        if key is None:
            REFUSED.labels("unknown").inc()
            raise ApiKeyInvalid("There is no such API key.", key_id=key_id)
        return key


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _has_expired(key: ApiKey, now: float) -> bool:
    return key.expires_at is not None and key.expires_at <= now
