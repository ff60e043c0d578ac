"""The file of trusted issuers, followed: a change counts without a restart."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import structlog

from gateway.domain import QuotaPolicy, QuotaSubject
from gateway.external_issuers import ExternalIssuers, TrustedIssuer
from gateway.identity_directory import STALE
from gateway.issuer_discovery import IssuerDiscovery
from gateway.trusted_issuers_file import (
    IssuerEntry,
    TrustedIssuersFileInvalid,
    load_trusted_issuers,
)
from gateway.watched_files import signature_of
from servicekit.access_tokens import KeySource
from servicekit.lifecycle import every, running_beside
from servicekit.remote_keys import RemoteKeySource

_log = structlog.get_logger(__name__)
_TIMEOUT = 2.0
_LOOK_EVERY = 0.5
"""Seconds: whose trust is withdrawn is refused within one."""


class FollowedIssuers:
    """Issuers as the file last named them.

    Args:
        default_quotas: what their callers have where the file states none.
        own_issuer: us, who are no external one.

    Raises:
        TrustedIssuersFileInvalid: the file cannot be used.
    """

    def __init__(
        self,
        file: Path,
        http: httpx.AsyncClient,
        default_quotas: tuple[QuotaPolicy, ...],
        *,
        own_issuer: str,
    ) -> None:
        self._file = file
        self._http = http
        self._default_quotas = default_quotas
        self._own_issuer = own_issuer
        self._keys: dict[tuple[str, ...], KeySource] = {}
        self._signature = signature_of(file)
        self.issuers = ExternalIssuers(self._made(self._read()))

    async def look(self) -> None:
        """Reads the file if it was touched; what cannot be used is told once, changes nothing."""
        signature = signature_of(self._file)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            # Beside the requests: a long file takes its time to parse.
            entries = await asyncio.to_thread(self._read)
        except TrustedIssuersFileInvalid as error:
            STALE.labels("trusted_issuers").set(1)
            _log.error("trusted_issuers_file_broken", reason=str(error))
            return
        self.issuers.replace(self._made(entries))
        STALE.labels("trusted_issuers").set(0)
        _log.info("trusted_issuers_file_read", issuers=len(entries))

    def _read(self) -> list[IssuerEntry]:
        entries = load_trusted_issuers(self._file)
        if any(entry.issuer == self._own_issuer for entry in entries):
            raise TrustedIssuersFileInvalid(f"{self._file}: {self._own_issuer} is this gateway")
        return entries

    def _made(self, entries: Iterable[IssuerEntry]) -> list[TrustedIssuer]:
        """Nothing is asked of an issuer before a token comes; known keys stay known."""
        known, self._keys = self._keys, {}
        made = []
        for entry in entries:
            name = (entry.issuer, entry.jwks_uri or "", *entry.algorithms)
            self._keys[name] = keys = known.get(name) or self._source(entry)
            quotas = entry.policies(QuotaSubject.CLIENT) or self._default_quotas
            made.append(TrustedIssuer(entry, keys, quotas))
        return made

    def _source(self, entry: IssuerEntry) -> KeySource:
        where = entry.jwks_uri or IssuerDiscovery(entry.issuer, self._http).keys_url
        return RemoteKeySource(where, self._http, algorithms=entry.algorithms)


@asynccontextmanager
async def followed_issuers(
    file: Path | None, default_quotas: tuple[QuotaPolicy, ...], *, own_issuer: str
) -> AsyncIterator[ExternalIssuers | None]:
    """The issuers of a file, with connections to them, followed until the context ends.

    Args:
        file: None trusts nobody.

    Raises:
        TrustedIssuersFileInvalid: the file cannot be used.
    """
    if file is None:
        yield None
        return
    async with httpx.AsyncClient(timeout=_TIMEOUT) as http:
        followed = FollowedIssuers(file, http, default_quotas, own_issuer=own_issuer)
        async with running_beside(every(_LOOK_EVERY, followed.look)):
            yield followed.issuers
