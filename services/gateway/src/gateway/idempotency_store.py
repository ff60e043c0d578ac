"""Answers kept in the quota Redis under the keys of the requests that they belong to.

They are sealed with a key made from the pepper: what a Redis that "may vanish" keeps on a disk or
tells another of its users is nothing. Needs nothing beyond Redis 6.2.
"""

import hmac
import json
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis
from redis.exceptions import RedisError

_NONCE_BYTES = 12
_MARK_BYTES = 16
_FINGERPRINT_BYTES = 32
# KEYS: the entry. ARGV: the holder's mark, what to put in its place (empty: nothing), for ms.
_SETTLE = """
local found = redis.call('GET', KEYS[1])
if not found or string.sub(found, 1, 1 + #ARGV[1]) ~= 'p' .. ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""


class StoreAway(Exception):
    """Redis does not answer in time."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What is repeated of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a key."""

    state: Literal["ours", "in flight", "other request", "answered"]
    answer: StoredAnswer | None = None


class IdempotencyStore:
    """One entry per client and key: a pending mark, then the answer.

    Args:
        pepper: the key of the clients' secrets; entries are sealed with one derived from it.
        lease: seconds after which a mark is given up whose gateway died.
        lifetime: seconds that an answer is repeated.
    """

    def __init__(self, redis: Redis, pepper: bytes, *, lease: float, lifetime: float) -> None:
        self._redis = redis
        self._cipher = AESGCM(hmac.digest(pepper, b"weir idempotency answers", "sha256"))
        self._settle = redis.register_script(_SETTLE)
        self._lease_ms = int(lease * 1000)
        self._lifetime_ms = int(lifetime * 1000)

    async def claim(self, entry: str, fingerprint: bytes, mark: bytes) -> Found:
        """Marks the key as pending, or says what is there already.

        Args:
            entry: from `entry_of`.
            fingerprint: of the request, 32 bytes.
            mark: 16 bytes that nobody else has.

        Raises:
            StoreAway: nothing is known; it may be marked all the same.
        """
        pending = b"p" + mark + fingerprint
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(entry, pending, nx=True, px=self._lease_ms)
                pipeline.get(entry)
                _, found = await pipeline.execute()
        except (RedisError, OSError) as error:
            raise StoreAway from error
        if found is None:
            raise StoreAway
        if found == pending:
            return Found("ours")
        start = 1 + _MARK_BYTES if found[:1] == b"p" else 1
        if not hmac.compare_digest(found[start : start + _FINGERPRINT_BYTES], fingerprint):
            return Found("other request")
        if found[:1] == b"p":
            return Found("in flight")
        return Found("answered", self._opened(entry, found[start + _FINGERPRINT_BYTES :]))

    async def keep(self, entry: str, fingerprint: bytes, mark: bytes, answer: StoredAnswer) -> bool:
        """Puts the answer in the mark's place; whether the mark was still there.

        Raises:
            StoreAway: the mark stays until its lease ends.
        """
        sealed = b"a" + fingerprint + self._sealed(entry, answer)
        return await self._settled(entry, mark, sealed)

    async def release(self, entry: str, mark: bytes) -> bool:
        """Takes the mark away, so that the request may be made anew; whether it was still there.

        Raises:
            StoreAway: the mark stays until its lease ends.
        """
        return await self._settled(entry, mark, b"")

    async def _settled(self, entry: str, mark: bytes, value: bytes) -> bool:
        try:
            return bool(await self._settle(keys=[entry], args=[mark, value, self._lifetime_ms]))
        except (RedisError, OSError) as error:
            raise StoreAway from error

    def _sealed(self, entry: str, answer: StoredAnswer) -> bytes:
        head = json.dumps({"status": answer.status, "headers": answer.headers}).encode()
        nonce = os.urandom(_NONCE_BYTES)
        plain = len(head).to_bytes(4) + head + answer.body
        return nonce + self._cipher.encrypt(nonce, plain, entry.encode())

    def _opened(self, entry: str, sealed: bytes) -> StoredAnswer:
        try:
            plain = self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], entry.encode()
            )
        except InvalidTag as error:
            # Sealed with another pepper, or by somebody else.
            raise StoreAway from error
        end = 4 + int.from_bytes(plain[:4])
        head = json.loads(plain[4:end])
        return StoredAnswer(head["status"], head["headers"], plain[end:])


def entry_of(client_id: str, key: str) -> str:
    """The name of the entry for a client's key; says neither of them."""
    digest = sha256(json.dumps([client_id, key]).encode()).hexdigest()
    return f"weir:idempotency:{digest}"
