"""When API keys were last used, told to the store in batches."""

import asyncio

import structlog

from gateway.identity_store import IdentityStore, IdentityStoreUnavailable

_log = structlog.get_logger(__name__)

_ONCE_IN = 60.0
"""Seconds: a key's moment is kept this exactly."""
_BATCH_EVERY = 5.0
"""Seconds between batches."""


class KeyUsage:
    """Notes uses at once and stores each key's at most once a minute."""

    def __init__(self, store: IdentityStore) -> None:
        self._store = store
        self._noted: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def note(self, key_id: str, moment: float) -> None:
        """The key was used then, seconds since the epoch."""
        if moment - self._noted.get(key_id, 0.0) >= _ONCE_IN:
            self._noted[key_id] = moment
            self._waiting[key_id] = moment

    async def flush(self) -> None:
        """Stores what was noted; what cannot be stored now waits for the next time."""
        moments, self._waiting = self._waiting, {}
        if not moments:
            return
        try:
            await self._store.note_uses(moments)
        except IdentityStoreUnavailable:
            # A newer use of the same key counts before what could not be stored.
            self._waiting = moments | self._waiting

    async def run(self) -> None:
        """Stores batches until cancelled."""
        while True:
            await asyncio.sleep(_BATCH_EVERY)
            try:
                await self.flush()
            except Exception:
                _log.exception("key_uses_not_stored")
