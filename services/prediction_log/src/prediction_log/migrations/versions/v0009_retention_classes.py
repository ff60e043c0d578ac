"""Predictions know their retention class, and each month is divided by it.

The table's months become tables partitioned by class. What a month held becomes its leaf of the
class `standard`, in place: no row is copied.
"""

from collections.abc import Sequence

from alembic import op

from prediction_log.online_ddl import (
    add_check,
    bounds_of,
    build_index,
    commit,
    drop_checks,
    exists,
    leaves_of,
    range_of,
)

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLE = "prediction_logs"
_NET = "prediction_logs_default"
_CHECK = "while_moving"
_CLASS = "standard"
_MOVED = 2000
"""Rows that a downgrade takes from other classes in one transaction."""


def upgrade() -> None:
    """Adds the column, then the key with it, then the level of the classes."""
    op.execute(
        f"ALTER TABLE {_TABLE} ADD COLUMN IF NOT EXISTS retention_class varchar(32) "
        f"NOT NULL DEFAULT '{_CLASS}'"
    )
    commit()
    for leaf in leaves_of(_TABLE):
        build_index(_key_of(leaf), leaf, "id, retention_class", unique=True)
    _check_months(f"retention_class = '{_CLASS}' AND ")
    op.execute(f"LOCK TABLE {_TABLE} IN ACCESS EXCLUSIVE MODE")
    _exchange_keys("id, retention_class")
    for month, bound in _months().items():
        leaf = f"{month}_{_CLASS}"
        op.execute(f"ALTER TABLE {_TABLE} DETACH PARTITION {month}")
        op.execute(f"ALTER TABLE {month} RENAME TO {leaf}")
        op.execute(
            f"CREATE TABLE {month} (LIKE {_TABLE} INCLUDING ALL) "
            "PARTITION BY LIST (retention_class)"
        )
        # '' is the class of events that name none.
        op.execute(f"ALTER TABLE {month} ATTACH PARTITION {leaf} FOR VALUES IN ('{_CLASS}', '')")
        op.execute(f"CREATE TABLE {month}_default PARTITION OF {month} DEFAULT")
        op.execute(f"ALTER TABLE {_TABLE} ATTACH PARTITION {month} {bound}")
    drop_checks(_CHECK)


def downgrade() -> None:
    """Puts each month into one leaf again, then takes the level and the column away."""
    leaves = {month: _leaf_of(month) for month in _months()}
    for month, leaf in leaves.items():
        _empty_other_leaves(month, leaf)
    for leaf in [*leaves.values(), _NET]:
        build_index(_key_of(leaf), leaf, "id", unique=True)
    _check_months("")
    op.execute(f"LOCK TABLE {_TABLE} IN ACCESS EXCLUSIVE MODE")
    bounds = _months()
    for month, leaf in leaves.items():
        if leaf == month:
            continue
        others = [other for other in leaves_of(month) if other != leaf]
        op.execute(f"ALTER TABLE {_TABLE} DETACH PARTITION {month}")
        op.execute(f"ALTER TABLE {month} DETACH PARTITION {leaf}")
        for other in others:
            op.execute(
                f"INSERT INTO {leaf} ({_columns()}) SELECT {_columns()} FROM {other} "
                "ON CONFLICT DO NOTHING"
            )
        op.execute(f"DROP TABLE {month}")
        op.execute(f"ALTER TABLE {leaf} RENAME TO {month}")
        op.execute(f"ALTER INDEX {_key_of(leaf)} RENAME TO {_key_of(month)}")
        op.execute(f"ALTER TABLE {month} DROP CONSTRAINT {_primary_key(month)}")
    _exchange_keys("id", apart=[month for month, leaf in leaves.items() if leaf != month])
    for month, leaf in leaves.items():
        if leaf != month:
            op.execute(f"ALTER TABLE {_TABLE} ATTACH PARTITION {month} {bounds[month]}")
    drop_checks(_CHECK)
    op.execute(f"ALTER TABLE {_TABLE} DROP COLUMN retention_class")


def _empty_other_leaves(month: str, leaf: str) -> None:
    """Moves rows to the leaf that stays, in small steps; each is at every moment in one place.

    An update that moves rows is no insert: what counts inserts does not count them again.
    """
    for other in leaves_of(month):
        while other != leaf:
            with op.get_context().autocommit_block():
                moved = op.get_bind().exec_driver_sql(
                    f"UPDATE {_TABLE} SET retention_class = '{_CLASS}' "
                    f"WHERE id IN (SELECT id FROM {other} LIMIT {_MOVED}) "
                    f"AND tableoid = '{other}'::regclass"
                )
            if not moved.rowcount:
                break


def _columns() -> str:
    """All but the class."""
    found = op.get_bind().exec_driver_sql(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute "
        f"WHERE attrelid = '{_TABLE}'::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attname <> 'retention_class'"
    )
    return str(found.scalar_one())


def _months() -> dict[str, str]:
    return {name: bound for name, bound in bounds_of(_TABLE).items() if bound != "DEFAULT"}


def _leaf_of(month: str) -> str:
    """Where the month's rows of the class are; the month itself where it has no classes."""
    leaves = bounds_of(month)
    if not leaves:
        return month
    named = f"{month}_{_CLASS}"
    return named if named in leaves else f"{month}_default"


def _check_months(condition: str) -> None:
    """Proves beforehand what attaching would look at every row for, while all others wait."""
    for number, (month, bound) in enumerate(_months().items()):
        low, high = range_of(bound)
        add_check(_leaf_of(month), _CHECK, f"{condition}id >= {low} AND id < {high}")
        add_check(_NET, f"{_CHECK}_{number}", f"id < {low} OR id >= {high}")


def _key_of(leaf: str) -> str:
    return f"{leaf}_key"


def _primary_key(table: str) -> str:
    found = op.get_bind().exec_driver_sql(
        f"SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'p'"
    )
    return str(found.scalar_one())


def _exchange_keys(columns: str, apart: Sequence[str] = ()) -> None:
    """Drops the primary key and makes another from the indexes that stand ready.

    Args:
        apart: leaves that are not attached now.
    """
    op.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT pk_{_TABLE}")
    for leaf in [*leaves_of(_TABLE), *apart]:
        # A partition that was made a moment ago has none; it is empty.
        if exists(_key_of(leaf)):
            op.execute(
                f"ALTER TABLE {leaf} ADD CONSTRAINT {leaf}_pkey PRIMARY KEY "
                f"USING INDEX {_key_of(leaf)}"
            )
    op.execute(f"ALTER TABLE {_TABLE} ADD CONSTRAINT pk_{_TABLE} PRIMARY KEY ({columns})")
