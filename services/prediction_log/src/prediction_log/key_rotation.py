"""Wraps the keys of subjects anew when another master key has become the current one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import LargeBinary, RowMapping, Uuid, column, func, select, update, values
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.database import Database
from prediction_log.errors import InputDamaged, MasterKeyMissing
from prediction_log.master_keys import MasterKeys
from prediction_log.tables import SUBJECT_KEYS

_K = SUBJECT_KEYS.c
_BATCH = 500


@dataclass(frozen=True, slots=True)
class RotationResult:
    """What a rotation has done, and what it could not do."""

    current: str
    """Name of the master key that is current."""
    rewrapped: int
    left: Mapping[str, int]
    """Keys that are still under others, by those: made meanwhile by a replica that has not read
    the new file yet, damaged, or of a master key that the file does not hold."""


class KeyRotation:
    """Goes through the table once, in batches that each are a transaction of their own.

    The keys themselves stay the same: texts are read and written all the time, and a subject that
    is erased meanwhile stays erased.
    """

    def __init__(self, database: Database, master_keys: MasterKeys) -> None:
        self._database = database
        self._master_keys = master_keys

    async def run(self) -> RotationResult:
        """Rewraps all that can be.

        Raises:
            LogStoreUnavailable: the database is away; what is done stays done.
        """
        rewrapped, last = 0, UUID(int=0)
        while True:
            async with self._database.transaction() as connection:
                rows = await self._batch_after(connection, last)
                rewrapped += await self._rewrap(connection, rows)
            if len(rows) < _BATCH:
                break
            last = rows[-1]["id"]
        return RotationResult(self._master_keys.current, rewrapped, await self._left())

    async def _batch_after(self, connection: AsyncConnection, last: UUID) -> Sequence[RowMapping]:
        query = (
            select(SUBJECT_KEYS)
            .where(_K.id > last, _K.master_key != self._master_keys.current)
            .order_by(_K.id)
            .limit(_BATCH)
        )
        return (await connection.execute(query)).mappings().all()

    async def _rewrap(self, connection: AsyncConnection, rows: Sequence[RowMapping]) -> int:
        changes = [change for row in rows if (change := self._rewrapped(row))]
        if not changes:
            return 0
        fresh = (
            values(column("id", Uuid), column("old", LargeBinary), column("new", LargeBinary))
            .data(changes)
            .alias("fresh")
        )
        changed = await connection.execute(
            update(SUBJECT_KEYS)
            # Nobody is locked out: what another rotation or an erasure took meanwhile is left.
            .where(_K.id == fresh.c.id, _K.wrapped_key == fresh.c.old)
            .values(master_key=self._master_keys.current, wrapped_key=fresh.c.new)
        )
        return int(changed.rowcount)

    def _rewrapped(self, row: RowMapping) -> tuple[UUID, bytes, bytes] | None:
        identifier, tenant = row["id"], row["tenant"]
        try:
            key = self._master_keys.unwrap(
                row["master_key"], row["wrapped_key"], identifier, tenant
            )
        except (MasterKeyMissing, InputDamaged):
            return None
        return identifier, row["wrapped_key"], self._master_keys.wrap(key, identifier, tenant)

    async def _left(self) -> dict[str, int]:
        query = (
            select(_K.master_key, func.count().label("number"))
            .where(_K.master_key != self._master_keys.current)
            .group_by(_K.master_key)
        )
        async with self._database.transaction() as connection:
            return {row.master_key: row.number for row in await connection.execute(query)}
