"""Reads the state of the windows, and begins the transactions that change it.

What is stored where, see `state_transaction`.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError, WatchError

from drift.domain import ModelVersion, Population, StateUnavailable
from drift.incidents import IncidentBook
from drift.leases import Lease
from drift.reference_codec import shelf_of
from drift.reference_shelf import ReferenceShelf, references_key, shelf_field
from drift.state_fields import (
    decode_busy,
    decode_incidents,
    decode_tenant,
    decode_version,
    incidents_field,
    tenant_fields,
    tenants_field,
    version_fields,
)
from drift.state_transaction import (
    NEVER,
    STATE_KEY,
    VERSIONS_FIELD,
    LeaseLost,
    StateConflict,
    StateTransaction,
    Versions,
    decode_versions,
    position_field,
    text_of,
)
from drift.version_state import PopulationState, VersionState

NamedT = TypeVar("NamedT", ModelVersion, Population)


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
                    if text_of(holder) != lease.token:
                        raise LeaseLost("another replica has the lease")
                yield StateTransaction(pipeline)

    async def versions(self) -> Versions:
        """The model versions that are kept.

        Raises:
            StateUnavailable: Redis is away or too slow.
        """
        with redis_errors_as_ours():
            stored: Any = await self._redis.hget(STATE_KEY, VERSIONS_FIELD)
        return decode_versions(stored)

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
            position: Any = await self._redis.hget(STATE_KEY, position_field(stream))
            after = text_of(position) or NEVER
            entries: Any = await self._redis.xrange(stream, min=f"({after}", count=1)
        return text_of(entries[0][0]) if entries else None

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
