"""The state in the events Redis: one hash, so that one transaction stores all of it or nothing.

Fields: `position:<stream>` the last applied entry, `versions` which model versions are kept and the
entry that each was predicted with last, and per version `open:`, `closed:`, `feedback:`, `recent:`,
`incidents:` and `standings:`. Closed windows that are kept have hashes of their own
(`window_history`), which the same transaction writes: a window is there exactly when it was
counted.

What is told to the world is appended to its streams by the same transaction: each fact once.
"""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message
from redis.asyncio import Redis
from redis.exceptions import RedisError, WatchError

from drift.domain import ModelVersion, StateUnavailable
from drift.incident_codec import (
    decode_book,
    decode_standings,
    encode_book,
    encode_standings,
)
from drift.incidents import IncidentBook
from drift.leases import Lease
from drift.state_codec import (
    StateUnreadable,
    decode_feedback,
    decode_recent,
    decode_window,
    encode_feedback,
    encode_recent,
    encode_window,
)
from drift.version_state import VersionState
from drift.window_history import HistoryChange, KeptWindow, history_key
from servicekit.event_stream import entry_fields, entry_order

_log = structlog.get_logger(__name__)

STATE_KEY = "weir:drift:state"
NEVER = "0-0"
"""Before every entry of a stream."""
_VERSIONS = "versions"
_PARTS = ("open", "closed", "feedback", "recent", "incidents", "standings")

PartT = TypeVar("PartT")
Facts = Sequence[tuple[str, Message]]
"""Messages, each with the stream that it goes to."""
Versions = dict[ModelVersion, str]
"""By model version, the entry that it was predicted with last; `NEVER` with feedback only."""


class StateConflict(Exception):
    """Another replica stored first; nothing of ours was stored."""


class LeaseLost(StateConflict):
    """Another replica has the job now; nothing of ours was stored."""


class StateTransaction:
    """What was read under it is still true when `store` succeeds."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._histories: list[HistoryChange] = []

    async def position(self, stream: str) -> str:
        """The last entry of the stream that was applied."""
        return _text(await self._pipeline.hget(STATE_KEY, _position(stream))) or NEVER

    async def is_held(self, stream: str, group: str, after: str, before: str) -> bool:
        """Whether the group handed out entries between the two that nobody acknowledged yet."""
        return bool(
            await self._pipeline.xpending_range(
                stream, group, min=f"({after}", max=f"({before}", count=1
            )
        )

    async def versions(self) -> Versions:
        """The model versions that are kept."""
        return _decode_versions(await self._pipeline.hget(STATE_KEY, _VERSIONS))

    async def load(self, version: ModelVersion) -> VersionState:
        """The state of a version, empty if it is new, without the window that was closed last.

        Nothing is done to that one any more, so it is neither read nor written again.
        """
        open_, *others = await self._pipeline.hmget(
            STATE_KEY, [_field(part, version) for part in _PARTS if part != "closed"]
        )
        return _decode(version, [open_, None, *others])

    async def keep(self, version: ModelVersion, closed: Sequence[KeptWindow], at_most: int) -> None:
        """Lets `store` write windows that closed, and take away the oldest beyond a number."""
        known = await self._pipeline.hkeys(history_key(version))
        self._histories.append(HistoryChange.keeping(version, known, closed, at_most))

    async def store(
        self,
        stream: str,
        position: str,
        versions: Versions,
        changed: Mapping[ModelVersion, VersionState],
        forgotten: Collection[ModelVersion],
        facts: Facts = (),
    ) -> None:
        """Stores the changed states with the position, forgets others and tells facts; or nothing.

        Raises:
            StateConflict: another replica stored since the transaction began.
        """
        values: dict[str, bytes | str] = {
            _position(stream): position,
            _VERSIONS: json.dumps({str(version): at for version, at in versions.items()}),
        }
        absent = [_field(part, version) for part in _PARTS for version in forgotten]
        for version, state in changed.items():
            if state.open is None:
                absent.append(_field("open", version))
            else:
                values[_field("open", version)] = encode_window(state.open)
            if state.closed is not None:
                values[_field("closed", version)] = encode_window(state.closed)
            values[_field("feedback", version)] = encode_feedback(state.feedback)
            values[_field("recent", version)] = encode_recent(state.recent)
            values[_field("incidents", version)] = encode_book(state.incidents)
            values[_field("standings", version)] = encode_standings(state.standings)
        gone = [history_key(version) for version in forgotten]
        await self._write(values, absent, facts, gone)

    async def incidents(self, version: ModelVersion) -> IncidentBook:
        """The incidents of a version."""
        stored = await self._pipeline.hget(STATE_KEY, _field("incidents", version))
        return _part("incidents", version, stored, decode_book, IncidentBook())

    async def store_incidents(
        self, version: ModelVersion, book: IncidentBook, facts: Facts
    ) -> None:
        """Stores the incidents of a version alone and tells facts; raises as `store` does."""
        await self._write({_field("incidents", version): encode_book(book)}, [], facts)

    async def _write(
        self,
        values: Mapping[str, bytes | str],
        absent: Sequence[str],
        facts: Facts,
        gone: Sequence[str] = (),
    ) -> None:
        self._pipeline.multi()
        self._pipeline.hset(STATE_KEY, mapping=values)
        for change in self._histories:
            if change.written:
                self._pipeline.hset(change.key, mapping=dict(change.written))
            if change.dropped:
                self._pipeline.hdel(change.key, *change.dropped)
        if gone:
            self._pipeline.delete(*gone)
        if absent:
            self._pipeline.hdel(STATE_KEY, *absent)
        for stream, message in facts:
            self._pipeline.xadd(stream, entry_fields(message))
        await self._pipeline.execute()


class StateStore:
    """Reads and changes the state; any number of replicas may."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @asynccontextmanager
    async def transaction(self, lease: Lease | None = None) -> AsyncIterator[StateTransaction]:
        """Begins to watch the state.

        Args:
            lease: that must still hold when it is stored.

        Raises:
            StateConflict: another replica stored meanwhile.
            LeaseLost: another replica has the lease, or nobody.
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            async with self._redis.pipeline(transaction=True) as pipeline:
                await pipeline.watch(STATE_KEY)
                if lease is not None:
                    # Watched, too: whoever takes it from now on lets the transaction fail.
                    await pipeline.watch(lease.fence)
                    holder: Any = await pipeline.get(lease.fence)
                    if _text(holder) != lease.token:
                        raise LeaseLost("another replica has the lease")
                yield StateTransaction(pipeline)

    async def versions(self) -> Versions:
        """The model versions that are kept.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            stored: Any = await self._redis.hget(STATE_KEY, _VERSIONS)
        return _decode_versions(stored)

    async def load(self, version: ModelVersion) -> VersionState:
        """The state of a version, empty if nothing is known of it.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            stored: Any = await self._redis.hmget(STATE_KEY, [_field(p, version) for p in _PARTS])
        return _decode(version, stored)

    async def incidents(self) -> dict[ModelVersion, IncidentBook]:
        """The incidents of all versions that are kept.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        versions = list(await self.versions())
        if not versions:
            return {}
        fields = [_field("incidents", version) for version in versions]
        with redis_errors_as_ours():
            stored: Any = await self._redis.hmget(STATE_KEY, fields)
        return {
            version: _part("incidents", version, data, decode_book, IncidentBook())
            for version, data in zip(versions, stored, strict=True)
        }

    async def oldest_unapplied(self, stream: str) -> str | None:
        """The first entry of a stream after the last that was applied, None if there is none.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            position: Any = await self._redis.hget(STATE_KEY, _position(stream))
            after = _text(position) or NEVER
            entries: Any = await self._redis.xrange(stream, min=f"({after}", count=1)
        return _text(entries[0][0]) if entries else None

    async def check(self) -> None:
        """Returns if Redis answers.

        Raises:
            StateUnavailable: it does not.
        """
        with redis_errors_as_ours():
            await self._redis.exists(STATE_KEY)


@contextmanager
def redis_errors_as_ours() -> Iterator[None]:
    """Turns what Redis raises within it into errors of ours.

    Raises:
        StateConflict: another replica stored meanwhile.
        StateUnavailable: Redis is away or too slow.
    """
    try:
        yield
    except WatchError as error:
        raise StateConflict("another replica stored first") from error
    except (RedisError, OSError) as error:
        raise StateUnavailable(
            "The store of the windows is away for the moment.", retry_after=1.0
        ) from error


def _decode(version: ModelVersion, stored: Sequence[bytes | None]) -> VersionState:
    open_, closed, feedback, recent, incidents, standings = stored
    fresh = VersionState()
    return VersionState(
        _part("open", version, open_, decode_window, fresh.open),
        _part("closed", version, closed, decode_window, fresh.closed),
        _part("feedback", version, feedback, decode_feedback, fresh.feedback),
        _part("recent", version, recent, decode_recent, fresh.recent),
        _part("incidents", version, incidents, decode_book, fresh.incidents),
        _part("standings", version, standings, decode_standings, fresh.standings),
    )


def _part(
    part: str,
    version: ModelVersion,
    stored: bytes | None,
    decode: Callable[[bytes], PartT],
    otherwise: PartT,
) -> PartT:
    """What cannot be read is begun anew: a window less, but the stream goes on."""
    if stored is None:
        return otherwise
    try:
        return decode(stored)
    except StateUnreadable as error:
        _log.error(
            "state_unreadable",
            part=part,
            model=version.model,
            version=version.version,
            why=str(error),
        )
        return otherwise


def _decode_versions(stored: bytes | None) -> Versions:
    return {
        ModelVersion(*name.split("/", 1)): entry_id
        for name, entry_id in json.loads(stored or b"{}").items()
    }


def newest_first(versions: Versions) -> list[ModelVersion]:
    """The versions by the entry that they were predicted with last."""
    return sorted(versions, key=lambda version: entry_order(versions[version]), reverse=True)


def _position(stream: str) -> str:
    return f"position:{stream}"


def _field(part: str, version: ModelVersion) -> str:
    return f"{part}:{version}"


def _text(value: bytes | None) -> str:
    return value.decode() if value else ""
