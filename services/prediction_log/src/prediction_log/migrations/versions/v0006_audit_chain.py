"""The audit trail becomes append-only and hash-chained; the rows that it has are chained, too."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from prediction_log.audit_chain import AuditRow, ChainHead, chained
from prediction_log.domain import AuditRecord

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STEP = 1000
"""Rows in a batch."""
_TABLES = ("audit_log", "audit_batches", "audit_checkpoints")
_RECORD = (
    "id, occurred_at, action, outcome, client_id, tenant, client_address, request_id, reason, "
    "target"
)
_HEAD = sa.text(
    "SELECT number, last_sequence, sha256 FROM audit_batches ORDER BY number DESC LIMIT 1"
)
_UNCHAINED = sa.text(
    f"SELECT recorded_at, {_RECORD} FROM audit_log "
    "WHERE sequence IS NULL AND id > :after ORDER BY id LIMIT :step"
)
_FIRST = UUID(int=0)
# One statement, so that a batch is there with its rows or not at all.
_CHAIN = sa.text(
    "WITH batch AS ("
    " INSERT INTO audit_batches (number, first_sequence, last_sequence, row_count, made_at,"
    " row_sha256s, previous_sha256, sha256) VALUES (:number, :first_sequence, :last_sequence,"
    " :row_count, :made_at, :row_sha256s, :previous_sha256, :sha256)) "
    "UPDATE audit_log SET sequence = place.sequence, batch = :number "
    "FROM unnest(:ids, :sequences) AS place (id, sequence) WHERE audit_log.id = place.id"
).bindparams(
    sa.bindparam("ids", type_=ARRAY(sa.Uuid)),
    sa.bindparam("sequences", type_=ARRAY(sa.BigInteger)),
    sa.bindparam("number", type_=sa.BigInteger),
)


def upgrade() -> None:
    """May be cut short at any point and run again."""
    op.execute(
        "ALTER TABLE audit_log ADD COLUMN IF NOT EXISTS target varchar(128),"
        " ADD COLUMN IF NOT EXISTS sequence bigint, ADD COLUMN IF NOT EXISTS batch bigint"
    )
    _create_tables()
    _commit()
    with op.get_context().autocommit_block():
        # One that was cut short would stay invalid.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_audit_log_sequence")
        op.create_index(
            "ix_audit_log_sequence",
            "audit_log",
            ["sequence"],
            unique=True,
            postgresql_concurrently=True,
        )
    _chain_rows(then=_commit)
    # What the service's version before this one wrote meanwhile; few rows, writers wait.
    op.execute("LOCK TABLE audit_log IN SHARE ROW EXCLUSIVE MODE")
    _chain_rows()
    _close()


def downgrade() -> None:
    """Opens the trail again and forgets the chain; the rows stay."""
    for table in _TABLES:
        op.execute(f"DROP TRIGGER append_only ON {table}")
    op.execute("DROP TRIGGER chained ON audit_log")
    op.execute("DROP FUNCTION audit_append_only()")
    op.execute("DROP FUNCTION audit_chained()")
    op.drop_table("audit_checkpoints")
    op.drop_table("audit_batches")
    op.execute("ALTER TABLE audit_log DROP COLUMN batch, DROP COLUMN sequence, DROP COLUMN target")


def _create_tables() -> None:
    op.create_table(
        "audit_batches",
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("row_sha256s", sa.LargeBinary, nullable=False),
        sa.Column("previous_sha256", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_batches"),
        if_not_exists=True,
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.String(128), nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", "key_id", name="pk_audit_checkpoints"),
        if_not_exists=True,
    )


def _commit() -> None:
    with op.get_context().autocommit_block():
        pass


def _chain_rows(then: Callable[[], None] = lambda: None) -> None:
    """Chains the rows that are outside of the chain, in the order of their ids.

    Args:
        then: called after each batch.
    """
    connection = op.get_bind()
    after = _FIRST
    while rows := connection.execute(_UNCHAINED, {"after": after, "step": _STEP}).all():
        found = connection.execute(_HEAD).one_or_none()
        head = ChainHead(*found) if found else ChainHead()
        made_at: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        audited = [AuditRow(None, None, AuditRecord(*record), at) for at, *record in rows]
        batch = chained(head, audited, made_at)
        connection.execute(
            _CHAIN,
            {name: getattr(batch, name) for name in batch.__slots__}
            | {
                "ids": [row.id for row in rows],
                "sequences": list(range(batch.first_sequence, batch.last_sequence + 1)),
            },
        )
        after = rows[-1].id
        then()


def _close() -> None:
    """Nobody changes what is there, and nothing comes in outside of the chain."""
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = '42501';"
        " END $$"
    )
    # Of the class that callers take for a store that is away: a replica of the version before,
    # which knows no chain, keeps its events in the stream until a new one takes them over.
    op.execute(
        "CREATE FUNCTION audit_chained() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'the audit trail takes chained rows only' USING ERRCODE = '55000';"
        " END $$"
    )
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
        )
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER chained BEFORE INSERT ON audit_log FOR EACH ROW"
        " WHEN (NEW.sequence IS NULL OR NEW.batch IS NULL) EXECUTE FUNCTION audit_chained()"
    )
