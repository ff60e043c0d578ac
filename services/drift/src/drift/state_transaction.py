"""The state in the events Redis: one hash, so that one transaction stores all of it or nothing.

Fields: `position:<stream>` the last applied entry, `versions` which model versions are kept and the
entry that each was predicted with last, and the states of versions and of their tenants
(`state_fields`), and which reference of a version is in force (`reference_shelf`). Closed windows
that are kept have hashes of their own (`window_history`), which the same transaction writes: a
window is there exactly when it was counted. So have the distributions of promoted references.

What is told to the world is appended to its streams by the same transaction: each fact once.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from drift.busy_tenants import BusyTenants
from drift.domain import ModelVersion, Population
from drift.incident_codec import encode_book
from drift.incidents import IncidentBook
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
VERSIONS_FIELD = "versions"

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
        return text_of(await self._pipeline.hget(STATE_KEY, position_field(stream))) or NEVER

    async def is_held(self, stream: str, group: str, after: str, before: str) -> bool:
        """Whether the group handed out entries between the two that nobody acknowledged yet."""
        return bool(
            await self._pipeline.xpending_range(
                stream, group, min=f"({after}", max=f"({before}", count=1
            )
        )

    async def versions(self) -> Versions:
        """The model versions that are kept."""
        return decode_versions(await self._pipeline.hget(STATE_KEY, VERSIONS_FIELD))

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
            position_field(stream): position,
            VERSIONS_FIELD: json.dumps({str(version): at for version, at in versions.items()}),
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


def decode_versions(stored: bytes | None) -> Versions:
    """The model versions that are kept, of what is stored."""
    return {
        ModelVersion(*name.split("/", 1)): entry_id
        for name, entry_id in json.loads(stored or b"{}").items()
    }


def newest_first(versions: Versions) -> list[ModelVersion]:
    """The versions by the entry that they were predicted with last."""
    return sorted(versions, key=lambda version: entry_order(versions[version]), reverse=True)


def position_field(stream: str) -> str:
    """Where the last applied entry of a stream is in the stored state."""
    return f"position:{stream}"


def text_of(value: bytes | None) -> str:
    """A stored value as text; empty for none."""
    return value.decode() if value else ""
