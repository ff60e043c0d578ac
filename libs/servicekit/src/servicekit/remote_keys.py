"""The public keys that an issuer publishes as a JWK set (RFC 7517)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey

from servicekit.bounded_fetch import FetchFailed, fetch_json
from servicekit.errors import Unavailable
from servicekit.late_http import LateHttp

_log = structlog.get_logger(__name__)

_MOST_KEYS = 100
_SHORTEST_RSA = 2048
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_FRESH = 300.0
"""Seconds that a set is used without asking again, where the issuer does not say."""
_FRESH_AT_MOST = 3600.0
"""Whatever it says: a key that it withdrew must not be good for longer."""
_MOST_ABSENT = 1000

Where = Callable[[], Awaitable[str]]
"""Gives the set's address; raises FetchFailed where it cannot be found out."""


class RemoteKeySource:
    """Knows an issuer's keys; asks for them when one is missing or what is known is old.

    There is one request at a time and at most one each `refetch_interval` seconds, however many
    tokens name keys that do not exist. The last good set stays in use while the issuer is away. A
    key that was not there is not asked for again within `absent_for` seconds, unless the set has
    changed since. What grows old is replaced in the background: nobody waits for it.

    Args:
        url: of the set, or what finds it out.
        algorithms: what keys are needed for; others in the set are left out.
        retry_interval: seconds between tries while no set was ever had.
    """

    def __init__(
        self,
        url: str | Where,
        http: httpx.AsyncClient | LateHttp,
        *,
        algorithms: Collection[str] = ("ES256",),
        refetch_interval: float = 5.0,
        retry_interval: float = 1.0,
        absent_for: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = url
        self._http = http
        self._algorithms = frozenset(algorithms)
        self._interval = refetch_interval
        self._retry_interval = retry_interval
        self._absent_for = absent_for
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._etag = ""
        self._had_one = False
        self._failing = False
        self._may_ask_at = float("-inf")
        self._stale_at = float("inf")
        self._absent: dict[str, float] = {}
        self._asking = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> Key | None:
        """The key of that id, None if the issuer has none.

        Raises:
            Unavailable: the issuer does not answer and no set was ever fetched.
        """
        key = self._keys.get(key_id)
        if key is None:
            return await self._find_missing(key_id)
        if self._clock() >= self._stale_at and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        return key

    async def _find_missing(self, key_id: str) -> Key | None:
        async with self._asking:
            if key_id not in self._keys and self._may_ask_for(key_id):
                await self._ask()
        if not self._had_one:
            raise Unavailable(
                "The token issuer's keys cannot be fetched.",
                reason="ISSUER_UNAVAILABLE",
                retry_after=self._retry_interval,
            )
        key = self._keys.get(key_id)
        if key is None and not self._failing:
            self._remember_absent(key_id)
        return key

    def _may_ask_for(self, key_id: str) -> bool:
        now = self._clock()
        return now >= self._may_ask_at and now >= self._absent.get(key_id, now)

    def _remember_absent(self, key_id: str) -> None:
        if key_id in self._absent and self._clock() < self._absent[key_id]:
            return
        if len(self._absent) >= _MOST_ABSENT:
            self._absent.pop(next(iter(self._absent)))
        self._absent[key_id] = self._clock() + self._absent_for

    async def _refresh(self) -> None:
        try:
            async with self._asking:
                if self._clock() >= max(self._stale_at, self._may_ask_at):
                    await self._ask()
        finally:
            self._refreshing = None

    async def _ask(self) -> None:
        """Fetches the set; a failure leaves the last one."""
        url = ""
        try:
            url = self._where if isinstance(self._where, str) else await self._where()
            answer = await fetch_json(self._http, url, etag=self._etag)
            if answer.content is not None:
                keys = usable_keys(answer.content, self._algorithms)
                if keys.keys() != self._keys.keys():
                    self._absent.clear()
                self._keys = keys
        except FetchFailed as error:
            if not self._failing:
                _log.warning("jwks_fetch_failed", url=url, error=str(error))
            self._failing = True
            self._may_ask_at = self._clock() + (
                self._interval if self._had_one else self._retry_interval
            )
            return
        if self._failing:
            _log.info("jwks_fetched", url=url, keys=len(self._keys))
        self._failing = False
        self._had_one = True
        self._etag = answer.etag
        fresh = _FRESH if answer.max_age is None else min(answer.max_age, _FRESH_AT_MOST)
        self._may_ask_at = self._clock() + self._interval
        self._stale_at = self._clock() + max(fresh, self._interval)


def usable_keys(content: object, algorithms: Collection[str]) -> dict[str, Key]:
    """The keys of a JWK set, by their id, that can verify one of these algorithms.

    Raises:
        FetchFailed: the content is no JWK set.
    """
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise FetchFailed("no JWK set")
    found = {}
    for described in keys:
        if isinstance(described, dict) and (key := _usable(described, algorithms)):
            found[str(described["kid"])] = key
    return found


def _usable(described: Mapping[str, Any], algorithms: Collection[str]) -> Key | None:
    """RFC 7517 §5: what is not understood is left out, the rest of the set is good."""
    key_id, use, stated = (described.get(name) for name in ("kid", "use", "alg"))
    if not isinstance(key_id, str) or not key_id or use not in (None, "sig"):
        return None
    if stated is not None and stated not in algorithms:
        return None
    try:
        key = JWKRegistry.import_key(dict(described))
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if algorithms_of(key) & frozenset(algorithms) else None


def algorithms_of(key: Key) -> frozenset[str]:
    """Those whose signatures the key can verify; a shared secret is no key to verify with."""
    match key:
        case ECKey():
            return frozenset({_CURVES[key.curve_name]} if key.curve_name in _CURVES else ())
        case RSAKey():
            return _RSA if key.public_key.key_size >= _SHORTEST_RSA else frozenset()
        case OKPKey():
            return frozenset({"EdDSA"} if key.curve_name in ("Ed25519", "Ed448") else ())
        case OctKey():
            return frozenset()
