"""The database's side of retention: the leaves that there are, and the functions that end them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, select, text, tuple_

from prediction_log.database import Database
from prediction_log.partitions import first_id_at, months_from
from prediction_log.retention_plan import Leaf, classes_in
from prediction_log.tables import DEAD_LETTERS, FEEDBACK

_LEAVES = text(r"""
    SELECT c.relname AS name, p.relname AS parent, pg_get_expr(c.relpartbound, c.oid) AS bound,
        substring(c.relname from '^prediction_logs_y(\d{4}m\d{2})') AS month,
        greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS size
    FROM pg_partition_tree('prediction_logs') AS tree
    JOIN pg_class c ON c.oid = tree.relid
    LEFT JOIN pg_class p ON p.oid = tree.parentrelid
    WHERE tree.isleaf ORDER BY c.relname
""")
_GONE = text("""
    SELECT relname FROM pg_class
    WHERE relname ~ '^gone_prediction_logs_y' AND relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace = current_schema::regnamespace
    ORDER BY relname
""")
_DETACH = text("SELECT weir_detach_expired(:table)")
_FORGET = text("SELECT last, removed FROM weir_forget_feedback(:table, :after, :most)")
_DROP = text("SELECT weir_drop_expired(:table)")
_DELETE = text("SELECT weir_delete_expired(:leaf, :classes, :befores, :otherwise, :most)")
_ROOT = "prediction_logs"


class RetentionStore:
    """Every method is one transaction, and raises LogStoreUnavailable or QueryTooSlow."""

    def __init__(self, database: Database, batch: int) -> None:
        self._database = database
        self._batch = batch

    async def leaves(self) -> tuple[list[Leaf], list[str]]:
        """The months' leaves, and the leaves that hold whatever has no other."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_LEAVES)).all()
        leaves = [
            Leaf(
                name=row.name,
                month=row.name if row.parent == _ROOT else row.parent,
                month_end=_end_of(row.month),
                classes=classes_in(row.bound),
                rows=row.rows,
                size=row.size,
            )
            for row in rows
            if row.month is not None
        ]
        return leaves, [row.name for row in rows if row.bound == "DEFAULT"]

    async def gone(self) -> list[str]:
        """What is detached and not dropped yet, perhaps by a process that was killed."""
        async with self._database.transaction() as connection:
            return list((await connection.execute(_GONE)).scalars())

    async def detach(self, table: str) -> bool:
        """Takes it out of the predictions; whether it was there."""
        async with self._database.transaction() as connection:
            return bool(await connection.scalar(_DETACH, {"table": table}))

    async def forget_feedback(self, gone: str, after: UUID) -> tuple[UUID | None, int]:
        """Removes the feedback on the next batch; returns its last id, None at the end."""
        parameters = {"table": gone, "after": after, "most": self._batch}
        async with self._database.transaction() as connection:
            row = (await connection.execute(_FORGET, parameters)).one()
        return row.last, row.removed

    async def drop(self, gone: str) -> bool:
        """Drops what was detached; whether it was there."""
        async with self._database.transaction() as connection:
            return bool(await connection.scalar(_DROP, {"table": gone}))

    async def delete_rows(
        self, leaf: str, befores: Mapping[str, datetime], otherwise: datetime
    ) -> int:
        """Deletes a batch of a leaf of several classes; returns how many."""
        parameters = {
            "leaf": leaf,
            "classes": list(befores),
            "befores": list(befores.values()),
            "otherwise": otherwise,
            "most": self._batch,
        }
        async with self._database.transaction() as connection:
            return int(await connection.scalar(_DELETE, parameters) or 0)

    async def delete_feedback(self, before: datetime) -> int:
        """Deletes a batch of feedback on predictions from before that moment."""
        old = (
            select(FEEDBACK.c.id)
            .where(FEEDBACK.c.prediction_id < first_id_at(before))
            .limit(self._batch)
        )
        async with self._database.transaction() as connection:
            done = await connection.execute(delete(FEEDBACK).where(FEEDBACK.c.id.in_(old)))
        return int(done.rowcount)

    async def delete_dead_letters(self, before: datetime) -> int:
        """Deletes a batch of dead letters from before that moment."""
        key = DEAD_LETTERS.c.stream, DEAD_LETTERS.c.entry_id
        old = select(*key).where(DEAD_LETTERS.c.recorded_at < before).limit(self._batch)
        async with self._database.transaction() as connection:
            done = await connection.execute(delete(DEAD_LETTERS).where(tuple_(*key).in_(old)))
        return int(done.rowcount)


def _end_of(month: str) -> datetime:
    return months_from(datetime.strptime(month, "%Ym%m").replace(tzinfo=UTC), 2)[1]
