"""Reads the closed windows that are kept in the events Redis; the monitor's transaction writes."""

from typing import Any

import structlog
from redis.asyncio import Redis

from drift.domain import Population
from drift.state_codec import StateUnreadable
from drift.state_store import redis_errors_as_ours
from drift.version_state import Window
from drift.window_history import SUMMARY, WindowSummary, history_key, read_summary, read_window

_log = structlog.get_logger(__name__)


class HistoryStore:
    """Reads what is kept."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def summaries(self, of: Population) -> list[WindowSummary]:
        """Newest first.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        key = history_key(of)
        with redis_errors_as_ours():
            fields: Any = await self._redis.hkeys(key)
            ids = sorted((f for f in fields if f.startswith(SUMMARY.encode())), reverse=True)
            stored: Any = await self._redis.hmget(key, ids) if ids else []
        return [
            read_summary(field.decode().removeprefix(SUMMARY), content)
            for field, content in zip(ids, stored, strict=True)
            if content is not None
        ]

    async def window(self, of: Population, window_id: str) -> Window | None:
        """A kept window; None if it is not, or cannot be read.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        if window_id.startswith(SUMMARY):
            return None
        with redis_errors_as_ours():
            stored: Any = await self._redis.hget(history_key(of), window_id)
        if stored is None:
            return None
        try:
            return read_window(stored)
        except StateUnreadable as error:
            _log.error(
                "kept_window_unreadable",
                model=of.about.model,
                version=of.about.version,
                window=window_id,
                why=str(error),
            )
            return None
