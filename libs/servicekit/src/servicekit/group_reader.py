"""Reads a stream as one member of a consumer group, in batches bounded by number and by bytes."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from servicekit.stream_groups import groups_of, text_of

Entry = tuple[bytes, dict[bytes, bytes] | None]
"""Its id and its fields; None where it was trimmed away after it had been handed out."""

_CHUNK = 1000
"""Most entries in one answer of Redis: more would hold up whoever else it serves, and us."""
_ASSUMED_BYTES = 64 * 1024
"""Of an entry, before the first one was seen."""
_LONGEST_BETWEEN_CLAIMS = 2.0
"""Seconds between two looks for what others left; a member that stopped has just released it."""


class GroupReader:
    """Hands out what this member had not acknowledged, what others left, then what is new.

    Redis bounds an answer by entries alone, so a batch ends with the answer that fills it, and the
    number that is asked for follows from the mean size in the one before.

    Args:
        consumer: unique within the group and the same after a restart.
        batch_bytes: of the entries' largest fields together, about.
        block: longest wait for new entries, seconds; it ends, too, when it is time to look for
            what others left.
        claim_after: seconds after which what another member holds counts as left.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        stream: str,
        group: str,
        consumer: str,
        batch_size: int,
        batch_bytes: int,
        block: float,
        claim_after: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._block_ms = int(block * 1000)
        self._claim_after = claim_after
        self._clock = clock
        self._mean_bytes = _ASSUMED_BYTES
        self._next_claim = 0.0
        self._own_pending = True
        self._group_ready = False
        self._filled = False

    @property
    def filled(self) -> bool:
        """Whether the last batch was ended by a bound rather than by the end of the stream."""
        return self._filled

    @property
    def takes_up(self) -> bool:
        """Whether the next batch may hold what was handed out before, perhaps to ourselves."""
        return self._own_pending or self._clock() >= self._next_claim

    def begin_anew(self, *, group_lost: bool) -> None:
        """Hands out again, first, what was not acknowledged.

        Args:
            group_lost: Redis has forgotten the group; it is made again.
        """
        self._own_pending = True
        if group_lost:
            self._group_ready = False

    async def read(self) -> list[Entry]:
        """The next batch; empty when nothing came in time.

        Raises:
            RedisError: Redis is away, or has lost the group.
        """
        await self._ensure_group()
        if self._own_pending:
            if entries := await self._gather("0", block=None):
                return entries
            self._own_pending = False
        if self._clock() >= self._next_claim:
            if entries := await self._claim():
                return entries
            pause = min(self._claim_after / 2, _LONGEST_BETWEEN_CLAIMS)
            self._next_claim = self._clock() + pause
        return await self._gather(">", block=self._patience())

    def _patience(self) -> int:
        """Milliseconds to wait for new entries."""
        until_claim = math.ceil((self._next_claim - self._clock()) * 1000)
        return min(self._block_ms, until_claim) if until_claim > 0 else self._block_ms

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Tells the group that they are done with."""
        if entries:
            await self._redis.xack(
                self._stream, self._group, *(entry_id for entry_id, _ in entries)
            )

    async def release(self) -> None:
        """Lets other members take at once what we were handed and have not acknowledged.

        Raises:
            RedisError: Redis is away; they take it after `claim_after` seconds.
        """
        after = "-"
        while True:
            held: Any = await self._redis.xpending_range(
                self._stream, self._group, after, "+", _CHUNK, self._consumer
            )
            if not held:
                return
            ids: list[Any] = [text_of(entry["message_id"]) for entry in held]
            await self._redis.xclaim(
                self._stream,
                self._group,
                self._consumer,
                min_idle_time=0,
                message_ids=ids,
                idle=int(self._claim_after * 1000),
                justid=True,
            )
            after = f"({ids[-1]}"

    async def _ensure_group(self) -> None:
        if self._group_ready:
            return
        # Asked first: a Redis whose memory is full refuses to make even a group that it has.
        if self._group not in await groups_of(self._redis, self._stream):
            try:
                await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        self._group_ready = True

    async def _gather(self, after: str | bytes, block: int | None) -> list[Entry]:
        """Asks until the batch is full or nothing more is there; waits for the first only."""
        batch: list[Entry] = []
        size = 0
        self._filled = False
        while count := self._room(len(batch), size):
            answer: Any = await self._redis.xreadgroup(
                self._group, self._consumer, {self._stream: after}, count=count, block=block
            )
            entries = _entries(answer)
            batch += entries
            size += self._measure(entries)
            if len(entries) < count:
                return batch
            block = None
            if after != ">":
                after = entries[-1][0]
        self._filled = True
        return batch

    def _room(self, entries: int, size: int) -> int:
        """How many more to ask for."""
        if size >= self._batch_bytes:
            return 0
        fitting = max((self._batch_bytes - size) // self._mean_bytes, 1)
        return min(_CHUNK, self._batch_size - entries, fitting)

    def _measure(self, entries: list[Entry]) -> int:
        if not entries:
            return 0
        size = sum([max(map(len, fields.values())) for _, fields in entries if fields])
        self._mean_bytes = max(size // len(entries), 1)
        return size

    async def _claim(self) -> list[Entry]:
        answer: Any = await self._redis.xautoclaim(
            self._stream,
            self._group,
            self._consumer,
            min_idle_time=int(self._claim_after * 1000),
            count=self._room(0, 0),
        )
        # What else was left is asked for without a pause.
        self._filled = True
        return [entry for entry in answer[1] if entry[0] is not None]


def _entries(answer: Any) -> list[Entry]:
    if not answer:
        return []
    streams = answer.values() if isinstance(answer, dict) else [e for _, e in answer]
    (entries,) = streams
    return list(entries)
