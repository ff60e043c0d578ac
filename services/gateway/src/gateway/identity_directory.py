"""Keeps the registry of clients as the clients file and the store are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from prometheus_client import Gauge

from gateway.client_registry import ClientRegistry
from gateway.declared_clients import DeclaredClients
from gateway.domain import QuotaPolicy
from gateway.identity_records import ClientRecord, KeyRecord, declared_client, ends_tokens
from gateway.identity_snapshot import IdentitySnapshot, merged
from gateway.identity_store import IdentityStore, IdentityStoreUnavailable, StoredIdentity
from gateway.token_revocation import revocation_of_client
from servicekit.lifecycle import running_beside

_log = structlog.get_logger(__name__)

STALE = Gauge(
    "weir_identity_stale",
    "1 while clients are served as they last were, because that source of them cannot be read.",
    ["source"],
)
for _source in ("file", "store"):
    STALE.labels(_source)
_INTERVAL = 0.25
"""Seconds between looks at each source: a change counts everywhere within one second."""


class IdentityStale(Exception):
    """A source of clients cannot be read; they are served as they last were."""


class IdentityDirectory:
    """Both sources as one snapshot.

    Args:
        defaults: quotas of a client that states none.
    """

    def __init__(
        self,
        declared: DeclaredClients,
        store: IdentityStore,
        defaults: tuple[QuotaPolicy, ...],
    ) -> None:
        self._declared = declared
        self._store = store
        self._defaults = defaults
        self._stored = StoredIdentity()
        self._loaded = False
        self._loading = asyncio.Lock()
        self._away = False
        self._file_clients = self._of_file()
        self._to_revoke: set[str] = set()
        self._told_twice: frozenset[str] = frozenset()
        self.registry = ClientRegistry([], declared.pepper)
        self.snapshot = IdentitySnapshot()
        self._rebuild()

    @property
    def declared(self) -> DeclaredClients:
        """The files."""
        return self._declared

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Follows both sources until the context ends; a store that is away holds nobody up."""
        await self.follow_store()
        async with running_beside(_again(self.follow_store), _again(self.follow_file)):
            yield

    async def refresh(self) -> None:
        """Makes the snapshot as new as the store.

        Raises:
            IdentityStoreUnavailable: the store is away.
        """
        async with self._loading:
            revision = await self._store.revision()
            if not self._loaded or revision != self._stored.revision:
                self._stored = await self._store.load()
                self._loaded = True
                self._rebuild()

    async def refresh_if_possible(self) -> None:
        """As `refresh`; while the store is away the snapshot stays as it is."""
        with suppress(IdentityStoreUnavailable):
            await self.refresh()

    def keys_of(self, client: ClientRecord) -> list[KeyRecord]:
        """The client's API keys in the store."""
        return [
            key
            for key in self.snapshot.keys.values()
            if key.client_id == client.client_id and key.declared_in == "api"
        ]

    async def check(self) -> None:
        """Returns if both sources are as new here as they should be.

        Raises:
            IdentityStale: one is not.
        """
        if self._declared.broken:
            raise IdentityStale("the clients file or the pepper is broken")
        if self._away or not self._loaded:
            raise IdentityStale("the store is away")

    async def follow_store(self) -> None:
        """One look at the store; that it is away is told once."""
        try:
            await self.refresh()
            await self._revoke()
        except IdentityStoreUnavailable as error:
            if not self._away:
                self._away = True
                STALE.labels("store").set(1)
                _log.warning("identity_store_away", error=type(error.__cause__).__name__)
            return
        STALE.labels("store").set(0)
        if self._away:
            self._away = False
            _log.info("identity_store_back")

    async def follow_file(self) -> None:
        """One look at the clients file and the pepper."""
        changed = await self._declared.look()
        STALE.labels("file").set(self._declared.broken)
        if not changed:
            return
        before, self._file_clients = self._file_clients, self._of_file()
        self._to_revoke |= {
            client_id
            for client_id, record in before.items()
            if ends_tokens(record, self._file_clients.get(client_id))
        }
        self._rebuild()

    async def _revoke(self) -> None:
        """Ends the tokens of clients that the file lost, as soon as the store takes it."""
        while self._to_revoke:
            client_id = min(self._to_revoke)
            event, oldest = revocation_of_client(client_id)
            await self._store.commit(revoked=event, oldest=oldest)
            self._to_revoke.discard(client_id)
            _log.info("tokens_revoked", client_id=client_id)

    def _of_file(self) -> dict[str, ClientRecord]:
        return {entry.client_id: declared_client(entry) for entry in self._declared.content.clients}

    def _rebuild(self) -> None:
        snapshot = merged(self._declared.content, self._stored, self._defaults)
        self.snapshot = snapshot
        self.registry.replace(
            snapshot.callers.values(), snapshot.usable_keys, self._declared.pepper
        )
        if snapshot.declared_twice != self._told_twice:
            self._told_twice = snapshot.declared_twice
            if snapshot.declared_twice:
                _log.warning("clients_declared_twice", ids=sorted(snapshot.declared_twice)[:20])


async def _again(look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_INTERVAL)
        try:
            await look()
        except Exception:
            # Serving goes on with what is known; the next look may do.
            _log.exception("identity_look_failed")
