"""Puts the gateway's knowledge of clients and keys together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from gateway.api_key_verifier import ApiKeyVerifier
from gateway.client_registry import ClientRegistry
from gateway.declared_clients import DeclaredClients
from gateway.identity_directory import IdentityDirectory
from gateway.identity_store import IdentityStore
from gateway.key_usage import KeyUsage
from gateway.quota_entries import default_quotas
from gateway.settings import Settings
from servicekit.lifecycle import running_beside


@dataclass(frozen=True, slots=True)
class Identity:
    """Clients and API keys, as the files have them until their other source is followed, too."""

    store: IdentityStore
    directory: IdentityDirectory
    keys: ApiKeyVerifier
    usage: KeyUsage

    @property
    def registry(self) -> ClientRegistry:
        """Who may prove themselves now."""
        return self.directory.registry

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Keeps clients and keys as new as their sources until the context ends."""
        async with self.directory.followed(), running_beside(self.usage.run()):
            yield
        await self.usage.flush()


def declared_identity(settings: Settings, events_redis: Redis) -> Identity:
    """Clients and keys.

    Raises:
        ClientsFileInvalid: the clients file cannot be used.
        PepperInvalid: the pepper cannot be used.
    """
    store = IdentityStore(events_redis, revocations=settings.revocations_stream)
    directory = IdentityDirectory(
        DeclaredClients(settings.clients_file, settings.pepper_file),
        store,
        default_quotas(settings.quota_per_minute, settings.quota_per_hour),
    )
    usage = KeyUsage(store)
    return Identity(store, directory, ApiKeyVerifier(directory.registry, usage), usage)
