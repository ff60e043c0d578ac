"""Finds out where an issuer publishes its keys (OpenID Connect Discovery 1.0 §4)."""

import time
from collections.abc import Callable

import httpx

from gateway.trusted_issuers_file import is_secure
from servicekit.bounded_fetch import FetchFailed, fetch_json

_REMEMBERED = 3600.0


class IssuerDiscovery:
    """Asks the issuer once an hour at most; what it last said stays in use while it is away."""

    def __init__(
        self,
        issuer: str,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._http = http
        self._clock = clock
        self._keys_url = ""
        self._ask_again_at = float("-inf")

    async def keys_url(self) -> str:
        """The address of the issuer's JWK set.

        Raises:
            FetchFailed: it cannot be found out, or leads somewhere that is not safe.
        """
        if self._clock() >= self._ask_again_at:
            try:
                self._keys_url = await self._ask()
                self._ask_again_at = self._clock() + _REMEMBERED
            except FetchFailed:
                if not self._keys_url:
                    raise
        return self._keys_url

    async def _ask(self) -> str:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        content = (await fetch_json(self._http, url)).content
        if not isinstance(content, dict) or content.get("issuer") != self._issuer:
            # §4.3: otherwise one issuer could speak for another.
            raise FetchFailed("discovery names another issuer")
        keys_url = content.get("jwks_uri")
        if not isinstance(keys_url, str) or not is_secure(keys_url):
            raise FetchFailed("discovery names no safe jwks_uri")
        if self._issuer.startswith("https:") and not keys_url.startswith("https:"):
            raise FetchFailed("discovery leads away from https")
        return keys_url
