"""Steps of migrations that let others read and write meanwhile.

Two rules make a migration safe to run on a large table that is in use. A statement that locks a
table against its users must be short, and gives up after LOCK_TIMEOUT rather than let everybody
queue behind it: the migration is then begun again. And since what went before a `commit` stays,
every step must find its work done, or half done, without failing.
"""

import re
from typing import Any

from alembic import op
from sqlalchemy import text

LOCK_TIMEOUT = "500ms"
"""Longest that a statement of a migration may wait for a table, and others behind it."""


def commit() -> None:
    """Ends the transaction, with the locks that it holds, and begins another."""
    with op.get_context().autocommit_block():
        pass


def leaves_of(table: str) -> list[str]:
    """The tables that hold the rows of a partitioned table, or the table itself."""
    found = _rows(
        "SELECT relid::regclass::text AS name FROM pg_partition_tree(CAST(:table AS regclass)) "
        "WHERE isleaf ORDER BY 1",
        table=table,
    )
    return [row["name"] for row in found] or [table]


def bounds_of(table: str) -> dict[str, str]:
    """The partitions right below a partitioned table, each with its `FOR VALUES …` or `DEFAULT`."""
    found = _rows(
        "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound "
        "FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        "WHERE inhparent = CAST(:table AS regclass) ORDER BY 1",
        table=table,
    )
    return {row["name"]: row["bound"] for row in found}


def range_of(bound: str) -> tuple[str, str]:
    """The lower and the upper end of `FOR VALUES FROM ('…') TO ('…')`, as SQL literals."""
    low, high = re.findall(r"'[^']*'", bound)
    return low, high


def exists(table: str) -> bool:
    """Whether there is a table or an index of that name."""
    return bool(_rows("SELECT 1 WHERE to_regclass(:table) IS NOT NULL", table=table))


def build_index(
    name: str, table: str, columns: str, *, where: str = "", unique: bool = False
) -> None:
    """Builds an index of a plain table; everybody may go on reading and writing."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    broken = _rows(
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid",
        name=name,
    )
    with op.get_context().autocommit_block():
        if broken:
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(
            f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {table} "
            f"{_in_parentheses(columns)}{_only(where)}"
        )


def build_partitioned_index(name: str, table: str, columns: str, *, where: str = "") -> None:
    """Builds an index of a partitioned table: leaf by leaf, then joined from the bottom up.

    The partitions' indexes are called `<partition>_<name without the table's>`.

    Args:
        columns: separated by commas; or, for another kind than B-tree, all from `USING` on.
    """
    _build_on_parent(name, table, columns, where)
    _build_below(name, table, columns, where, name.removeprefix(f"ix_{table}_"))


def _build_on_parent(name: str, table: str, columns: str, where: str) -> None:
    op.execute(
        f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} "
        f"{_in_parentheses(columns)}{_only(where)}"
    )
    commit()


def _build_below(parent_index: str, parent: str, columns: str, where: str, suffix: str) -> None:
    for partition in bounds_of(parent):
        if _has_part_of(parent_index, partition):
            continue
        index = f"{partition}_{suffix}"[:63]
        if bounds_of(partition):
            _build_on_parent(index, partition, columns, where)
            _build_below(index, partition, columns, where, suffix)
        else:
            build_index(index, partition, columns, where=where)
        op.execute(f"ALTER INDEX {parent_index} ATTACH PARTITION {index}")
        commit()


def _in_parentheses(columns: str) -> str:
    return columns if columns.startswith("USING ") else f"({columns})"


def _only(where: str) -> str:
    return f" WHERE {where}" if where else ""


def _has_part_of(index: str, partition: str) -> bool:
    """Whether the partition came with its part of the index, having been made after it."""
    query = (
        "SELECT 1 FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid "
        "WHERE inhparent = CAST(:index AS regclass) "
        "AND indrelid = CAST(:partition AS regclass) AND indisvalid"
    )
    return bool(_rows(query, index=index, partition=partition))


def add_check(table: str, name: str, condition: str) -> None:
    """Adds a check and looks at the rows without keeping anybody from them."""
    found = "SELECT 1 FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND conname = :n"
    if not _rows(found, table=table, n=name):
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
        # The lock that adding took would last while the rows are looked at.
        commit()
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    commit()


def drop_checks(beginning: str) -> None:
    """Drops the checks whose names begin so, wherever they are."""
    for row in _rows(
        "SELECT conrelid::regclass::text AS name, conname FROM pg_constraint "
        "WHERE starts_with(conname, :beginning) AND contype = 'c' AND conislocal",
        beginning=beginning,
    ):
        op.execute(f"ALTER TABLE {row['name']} DROP CONSTRAINT {row['conname']}")


def _rows(query: str, **parameters: object) -> list[dict[str, Any]]:
    found = op.get_bind().execute(text(query), parameters)
    return [dict(row) for row in found.mappings()]
