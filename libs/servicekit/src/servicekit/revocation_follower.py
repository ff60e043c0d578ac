"""Keeps a revocation list up to date with the stream that revocations are told on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import structlog
from google.protobuf.message import DecodeError, Message
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from servicekit.event_consumer import DATA, TYPE
from servicekit.revocations import CLOCK_LEEWAY, LONGEST_LIFE, RevocationList, TokensRevoked
from servicekit.stream_groups import entry_order

_log = structlog.get_logger(__name__)

READING_BACK = LONGEST_LIFE + 12 * CLOCK_LEEWAY
"""Seconds of the stream that are read at the start, 11 minutes: what was revoked before concerns
tokens that have expired."""
BLOCK = 1.0
"""Longest wait of one read, seconds. What is revoked ends it at once."""
_RETRY = 0.25
"""Seconds between tries while Redis is away."""
_CHUNK = 1000

FOLLOWING = Gauge(
    "weir_revocations_following",
    "1 while revocations are followed; 0 before the first read and while the events Redis is away.",
)
HEARD_AT = Gauge(
    "weir_revocations_heard_timestamp_seconds",
    "When Redis last said what was revoked, or that nothing was, seconds since the epoch.",
)
BROKEN = Counter(
    "weir_revocations_broken_total", "Entries of the revocations' stream that cannot be read."
)


async def _nobody_waits() -> None:
    """For those whom the first read does not matter to."""


class RevocationFollower:
    """Reads what was revoked lately, then what is revoked from now on, for ever.

    Revocations go to everybody, so there is no consumer group: each process reads for itself, and
    again from 11 minutes back whenever Redis was away or is another one. Reading twice is harmless.
    While Redis is away, the list stays as it is: who revokes cannot tell anybody either.

    Args:
        redis: its timeout must exceed `BLOCK`.
        revocations: vouches for nobody before the first read has succeeded.
        message: the type of the stream's messages.
        first_read: called once the first read has succeeded.
    """

    def __init__(
        self,
        redis: Redis,
        revocations: RevocationList,
        *,
        stream: str,
        message: type[Message],
        first_read: Callable[[], Awaitable[None]] = _nobody_waits,
        retry: float = _RETRY,
    ) -> None:
        revocations.complete = False
        self.revocations = revocations
        self._redis = redis
        self._stream = stream
        self._message = message
        self._type = str(message.DESCRIPTOR.full_name).encode()
        self._first_read = first_read
        self._retry = retry
        self._last = b""
        """Id of the last entry that was read; empty while it is not known where to begin."""
        self._state = ""
        self._broken = False

    async def run(self) -> None:
        """Follows until it is cancelled."""
        FOLLOWING.set(0)
        while True:
            try:
                if not self._last:
                    await self._catch_up()
                    await self._note("following")
                await self._follow()
            except (RedisError, OSError) as error:
                self._last = b""
                await self._note("away", error=type(error).__name__)
                await asyncio.sleep(self._retry)

    async def _catch_up(self) -> None:
        # By Redis's own clock, which the ids of its entries come from.
        seconds, _ = await self._redis.time()
        self._last = b"%d-0" % max(0, int((seconds - READING_BACK) * 1000))
        while self._take_all(await self._redis.xread({self._stream: self._last}, count=_CHUNK)):
            pass

    async def _follow(self) -> None:
        """Waits for the next entries, and takes them.

        Begins anew where the stream is not the one that was read: its end is before ours. A Redis
        that lost its data, or a replica that took over with an older state, counts from its own
        clock, perhaps behind the other's.
        """
        # Together: Redis answers the second as soon as the first has ended.
        async with self._redis.pipeline(transaction=False) as asked:
            asked.xread({self._stream: self._last}, count=_CHUNK, block=int(BLOCK * 1000))
            asked.xrevrange(self._stream, count=1)
            answer, newest = await asked.execute()
        if self._take_all(answer):
            return
        self.revocations.forget_expired()
        if newest and _order(newest[0][0]) < _order(self._last):
            # Entries that the old one lost stay on the list.
            self._last = b""

    def _take_all(self, answer: Any) -> int:
        """Takes what was read; returns how many entries there were."""
        HEARD_AT.set(time.time())
        entries = _entries_of(answer)
        for entry_id, fields in entries:
            self._take(entry_id, fields)
            self._last = entry_id
        return len(entries)

    def _take(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        try:
            if fields.get(TYPE) != self._type:
                raise ValueError("another type of message")
            self.revocations.add(cast("TokensRevoked", self._message.FromString(fields[DATA])))
        except (DecodeError, KeyError, ValueError) as error:
            BROKEN.inc()
            # Once, for who can append one broken entry can append millions.
            write = _log.debug if self._broken else _log.error
            self._broken = True
            write("revocation_broken", entry=entry_id.decode(), error=type(error).__name__)

    async def _note(self, state: str, **details: str) -> None:
        if state == self._state:
            return
        following = state == "following"
        FOLLOWING.set(following)
        if following:
            _log.info("revocations_following", listed=len(self.revocations))
        else:
            _log.warning("revocations_not_followed", stream=self._stream, **details)
        self._state = state
        if following and not self.revocations.complete:
            self.revocations.complete = True
            await self._first_read()


def _order(entry_id: bytes) -> tuple[int, int]:
    return entry_order(entry_id.decode())


def _entries_of(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of one stream: redis-py answers a mapping or pairs, by the protocol's version."""
    if not answer:
        return []
    groups = answer.values() if isinstance(answer, dict) else [group for _, group in answer]
    entries = [entry for group in groups for entry in group]
    # RESP3 wraps the entries once more.
    if entries and isinstance(entries[0], list):
        entries = [entry for wrapped in entries for entry in wrapped]
    return entries
