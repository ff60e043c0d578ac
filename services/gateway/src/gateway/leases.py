"""The places under caps that this gateway's requests hold in Redis, renewed while they last."""

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

import structlog
from prometheus_client import Gauge
from redis.exceptions import RedisError

from gateway.quota_account import Account

_log = structlog.get_logger(__name__)

HELD = Gauge("weir_quota_places_held", "Requests under way that hold places under caps.")


class LeaseStore(Protocol):
    """Keeps leases."""

    async def renew(self, leases: Mapping[str, Account], *, restore: bool = False) -> None:
        """Holds places for longer."""
        ...

    def release(self, account: Account, lease: str) -> None:
        """Gives places back."""
        ...


class Leases:
    """Leases end by themselves, so that the places of a gateway that was killed come back.

    Args:
        length: of a lease, seconds; those held for a third of it are renewed.
    """

    def __init__(self, store: LeaseStore, *, length: float) -> None:
        self._store = store
        self._interval = length / 3
        self._held: dict[str, tuple[Account, float]] = {}
        self._renewing: asyncio.Task[None] | None = None

    def hold(self, lease: str, account: Account) -> None:
        """Keeps a lease until it is let go."""
        self._held[lease] = (account, time.monotonic())
        HELD.set(len(self._held))
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())

    def let_go(self, lease: str) -> None:
        """Stops keeping a lease."""
        self._held.pop(lease, None)
        HELD.set(len(self._held))

    async def restore(self) -> None:
        """Tells the store of every lease: it may not know some.

        Raises:
            RedisError, OSError: the store did not answer in time.
        """
        held = {lease: account for lease, (account, _) in self._held.items()}
        if held:
            await self._store.renew(held, restore=True)
        for lease, account in held.items():
            if lease not in self._held:
                self._store.release(account, lease)

    def close(self) -> None:
        """Stops renewing."""
        if self._renewing:
            self._renewing.cancel()

    async def _renew(self) -> None:
        try:
            while self._held:
                await asyncio.sleep(self._interval)
                before = time.monotonic() - self._interval
                old = {
                    lease: account
                    for lease, (account, since) in self._held.items()
                    if since <= before
                }
                try:
                    if old:
                        await self._store.renew(old)
                except (RedisError, OSError) as error:
                    _log.debug("leases_not_renewed", error=type(error).__name__)
        finally:
            self._renewing = None
