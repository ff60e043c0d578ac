"""Publishes that tokens are good no more; every process that verifies tokens reads it."""

import time
from collections.abc import Callable
from typing import Protocol

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.audit_trail import Publisher
from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2

_log = structlog.get_logger(__name__)
_KEPT_FOR = 1200.0
"""Seconds that the stream keeps a revocation: longer than any token that it is about."""


class RevocationList(Protocol):
    """What this process knows to be revoked."""

    def add(self, event: events_pb2.TokensRevoked) -> None:
        """Puts the event on the list."""
        ...


class RevocationPublisher:
    """Appends revocations to their stream and keeps it short.

    Args:
        revoked: this process's own list; it is told at once, the others by the stream.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        publisher: Publisher,
        redis: Redis,
        *,
        stream: str,
        revoked: RevocationList | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._publisher = publisher
        self._redis = redis
        self._stream = stream
        self._revoked = revoked
        self._clock = clock

    async def revoke_token(self, token_id: str, *, expires_at: float) -> None:
        """Revokes the one token with that `jti`.

        Raises:
            EventStreamUnavailable: nobody was told; the token is good yet.
        """
        event = events_pb2.TokensRevoked(
            event_id=str(new_id()),
            occurred_at=_timestamp(self._clock()),
            token_id=token_id,
            expires_at=_timestamp(expires_at),
        )
        await self._publisher.publish(self._stream, [event])
        if self._revoked is not None:
            self._revoked.add(event)
        await self._trim()

    async def _trim(self) -> None:
        oldest = int((self._clock() - _KEPT_FOR) * 1000)
        try:
            await self._redis.xtrim(self._stream, minid=oldest, approximate=True)
        except (RedisError, OSError) as error:
            # The next one trims; what matters has been said.
            _log.info("revocations_not_trimmed", error=type(error).__name__)


def _timestamp(moment: float) -> Timestamp:
    return Timestamp(seconds=int(moment), nanos=int(moment % 1 * 1e9))
