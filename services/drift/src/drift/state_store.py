"""The state in the events Redis: one hash, so that one transaction stores all of it or nothing.

Fields: `position:<stream>` the last applied entry, `versions` which model versions are kept and the
entry that each was predicted with last, and the states of versions and of their tenants
(`state_fields`), and which reference of a version is in force (`reference_shelf`). Closed windows
that are kept have hashes of their own (`window_history`), which the same transaction writes: a
window is there exactly when it was counted. So have the distributions of promoted references.

What is told to the world is appended to its streams by the same transaction: each fact once.
"""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from google.protobuf.message import Message
from redis.asyncio import Redis
from redis.exceptions import RedisError, WatchError

from drift.busy_tenants import BusyTenants
from drift.domain import ModelVersion, Population, StateUnavailable
from drift.incident_codec import encode_book
from drift.incidents import IncidentBook
from drift.leases import Lease
from drift.reference_codec import encode_shelf, shelf_of
from drift.reference_shelf import ReferenceShelf, references_key, shelf_field
from drift.state_fields import (
    decode_busy,
    decode_incidents,
    decode_tenant,
    decode_version,
    encode_state,
    incidents_field,
    standings_field,
    tenant_fields,
    tenants_field,
    version_fields,
)
from drift.version_state import PopulationState, VersionState
from drift.window_history import HistoryChange, KeptWindow, history_key
from servicekit.event_stream import entry_fields, entry_order

STATE_KEY = "weir:drift:state"
NEVER = "0-0"
"""Before every entry of a stream."""
_VERSIONS = "versions"

NamedT = TypeVar("NamedT", ModelVersion, Population)
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
        open_, _, *others = version_fields(version)
        stored = await self._pipeline.hmget(STATE_KEY, [open_, *others])
        return decode_version(version, [stored[0], None, *stored[1:]])

    async def load_tenant(self, of: Population) -> PopulationState:
        """A tenant's own state, as `load` gives a version's."""
        open_, _, *others = tenant_fields(of)
        stored = await self._pipeline.hmget(STATE_KEY, [open_, *others])
        return decode_tenant(of, [stored[0], None, *stored[1:]])

    async def tenants(self, version: ModelVersion) -> BusyTenants:
        """Which tenants of a version have windows of their own."""
        return decode_busy(version, await self._pipeline.hget(STATE_KEY, tenants_field(version)))

    async def keep(self, of: Population, closed: Sequence[KeptWindow], at_most: int) -> None:
        """Lets `store` write windows that closed, and take away the oldest beyond a number."""
        known = await self._pipeline.hkeys(history_key(of))
        self._histories.append(HistoryChange.keeping(of, known, closed, at_most))

    async def store(
        self,
        stream: str,
        position: str,
        versions: Versions,
        changed: Mapping[ModelVersion, VersionState],
        forgotten: Collection[ModelVersion],
        facts: Facts = (),
        tenants: Mapping[Population, PopulationState] | None = None,
        dropped: Collection[Population] = (),
    ) -> None:
        """Stores the changed states with the position, forgets others and tells facts; or nothing.

        Args:
            tenants: changed states of tenants.
            dropped: tenants that lose theirs; one that is changed, too, begins anew.

        Raises:
            StateConflict: another replica stored since the transaction began.
        """
        values: dict[str, bytes | str] = {
            _position(stream): position,
            _VERSIONS: json.dumps({str(version): at for version, at in versions.items()}),
        }
        absent = [field for version in forgotten for field in version_fields(version)]
        absent += [field for of in dropped for field in tenant_fields(of)]
        absent += map(shelf_field, forgotten)
        states = {Population(version): state for version, state in changed.items()}
        for of, state in [*states.items(), *(tenants or {}).items()]:
            present, without = encode_state(of, state)
            values |= present
            absent += without
        gone = [*map(history_key, map(Population, forgotten)), *map(history_key, dropped)]
        gone += map(references_key, forgotten)
        await self._write(values, absent, facts, gone)

    async def incidents(self, of: Population) -> IncidentBook:
        """The incidents of a version, or of a tenant's part of it."""
        return decode_incidents(of, await self._pipeline.hget(STATE_KEY, incidents_field(of)))

    async def store_incidents(self, of: Population, book: IncidentBook, facts: Facts) -> None:
        """Stores such incidents alone and tells facts; raises as `store` does."""
        await self._write({incidents_field(of): encode_book(book)}, [], facts)

    async def shelf(self, version: ModelVersion) -> ReferenceShelf:
        """The promoted references of a version, and which reference is in force."""
        return shelf_of(version, await self._pipeline.hget(STATE_KEY, shelf_field(version)))

    async def store_shelf(
        self,
        version: ModelVersion,
        shelf: ReferenceShelf,
        made: Mapping[str, bytes],
        books: Mapping[Population, IncidentBook],
        facts: Facts,
    ) -> None:
        """Stores which reference is in force; the detectors of breaks stand at zero again.

        Args:
            made: distributions of a new one, by id; those that left the shelf are taken away.
            books: incidents after the change, of all tenants together and of single ones.

        Raises:
            StateConflict: another replica stored since the transaction began.
        """
        key = references_key(version)
        known = {field.decode() for field in await self._pipeline.hkeys(key)}
        dropped = sorted(known - shelf.by_id().keys())
        self._histories.append(HistoryChange(key, dict(made), dropped))
        values: dict[str, bytes | str] = {shelf_field(version): encode_shelf(shelf)}
        values |= {incidents_field(of): encode_book(book) for of, book in books.items()}
        await self._write(values, [standings_field(version)], facts)

    async def _write(
        self,
        values: Mapping[str, bytes | str],
        absent: Sequence[str],
        facts: Facts,
        gone: Sequence[str] = (),
    ) -> None:
        self._pipeline.multi()
        # First: who lost a state may have got another one.
        if gone:
            self._pipeline.delete(*gone)
        if absent:
            self._pipeline.hdel(STATE_KEY, *absent)
        self._pipeline.hset(STATE_KEY, mapping=values)
        for change in self._histories:
            if change.written:
                self._pipeline.hset(change.key, mapping=dict(change.written))
            if change.dropped:
                self._pipeline.hdel(change.key, *change.dropped)
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
            stored: Any = await self._redis.hmget(STATE_KEY, version_fields(version))
        return decode_version(version, stored)

    async def shelf(self, version: ModelVersion) -> ReferenceShelf:
        """The promoted references of a version, and which reference is in force.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            stored: Any = await self._redis.hget(STATE_KEY, shelf_field(version))
        return shelf_of(version, stored)

    async def reference(self, version: ModelVersion, reference_id: str) -> bytes | None:
        """The distributions of a promoted reference.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            stored: Any = await self._redis.hget(references_key(version), reference_id)
        return bytes(stored) if stored is not None else None

    async def load_tenant(self, of: Population) -> PopulationState | None:
        """A tenant's own state; None if it has no windows of its own.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            stored: Any = await self._redis.hmget(
                STATE_KEY, [tenants_field(of.about), *tenant_fields(of)]
            )
        if of.tenant not in decode_busy(of.about, stored[0]).watched:
            return None
        return decode_tenant(of, stored[1:])

    async def populations(self) -> list[Population]:
        """All that is watched apart: the versions that are kept, and tenants of theirs.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        versions = list(await self.versions())
        found = list(map(Population, versions))
        for version, stored in zip(
            versions, await self._fields(tenants_field, versions), strict=True
        ):
            found += [Population(version, t) for t in decode_busy(version, stored).watched]
        return found

    async def incidents(self, of: Sequence[Population]) -> dict[Population, IncidentBook]:
        """Their incidents.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        return {
            each: decode_incidents(each, stored)
            for each, stored in zip(of, await self._fields(incidents_field, of), strict=True)
        }

    async def _fields(
        self, name: Callable[[NamedT], str], of: Sequence[NamedT]
    ) -> Sequence[bytes | None]:
        if not of:
            return []
        with redis_errors_as_ours():
            stored: Any = await self._redis.hmget(STATE_KEY, [name(each) for each in of])
        return list(stored)

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


def _text(value: bytes | None) -> str:
    return value.decode() if value else ""
