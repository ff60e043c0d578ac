"""Rows of the audit trail may leave, oldest first, where a signed statement says up to which batch.

What is deleted is bound by the statement and by its age, whoever deletes: the service by the
function, which takes whole batches, or the tables' owner.
"""

import sqlalchemy as sa
from alembic import op

from prediction_log.online_ddl import commit

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_FUNCTION = "weir_prune_audit(integer)"
_GONE = {
    "audit_log": "gone.batch IS NULL OR gone.batch > last",
    "audit_batches": "gone.number > last",
    # The last one stays: what is left begins behind it.
    "audit_checkpoints": "gone.number >= last",
}


def upgrade() -> None:
    """Changes triggers and adds a table; each lock is short."""
    op.create_table(
        "audit_prunings",
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("recorded_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.String(128), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_prunings"),
        if_not_exists=True,
    )
    _trigger("audit_prunings", "append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON audit_prunings FROM PUBLIC")
    for table, kept in _GONE.items():
        op.execute(
            f"CREATE OR REPLACE FUNCTION {table}_pruned_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ DECLARE last bigint := (SELECT coalesce(max(number), 0) FROM audit_prunings);"
            f" BEGIN IF EXISTS (SELECT FROM gone WHERE {kept}) THEN"
            " RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = '42501';"
            " END IF; RETURN NULL; END $$"
        )
        commit()
        _trigger(table, "append_only", "BEFORE UPDATE OR TRUNCATE")
        op.execute(
            f"CREATE OR REPLACE TRIGGER pruned_only AFTER DELETE ON {table}"
            " REFERENCING OLD TABLE AS gone"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_pruned_only()"
        )
        commit()
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema)").scalar_one()
    op.execute(
        "CREATE OR REPLACE FUNCTION weir_prune_audit(most integer) RETURNS bigint LANGUAGE plpgsql "
        f"SECURITY DEFINER SET search_path = {schema}, pg_temp SET lock_timeout = '500ms' "
        f"AS $body${_PRUNE}$body$"
    )
    op.execute(f"REVOKE ALL ON FUNCTION {_FUNCTION} FROM PUBLIC")


def downgrade() -> None:
    """Closes the trail again; the version before cannot verify one of which a part has left."""
    op.execute(f"DROP FUNCTION IF EXISTS {_FUNCTION}")
    for table in _GONE:
        op.execute(f"DROP TRIGGER IF EXISTS pruned_only ON {table}")
        op.execute(f"DROP FUNCTION IF EXISTS {table}_pruned_only()")
        _trigger(table, "append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE")
        commit()
    op.execute("DROP TABLE IF EXISTS audit_prunings")


def _trigger(table: str, name: str, when: str) -> None:
    op.execute(
        f"CREATE OR REPLACE TRIGGER {name} {when} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )


# Deletes at most so many batches with their rows, the oldest first, up to the one that the last
# statement names; returns how many. A service that somebody took over can state whatever it likes:
# the last thirty days stay all the same. The errors are of the class that callers put off.
_PRUNE = """
DECLARE
    stated audit_prunings;
    upto bigint;
    deleted bigint;
BEGIN
    SELECT * INTO stated FROM audit_prunings ORDER BY number DESC LIMIT 1;
    IF stated IS NULL THEN
        RETURN 0;
    END IF;
    IF NOT EXISTS (SELECT FROM audit_checkpoints AS c
        WHERE c.number = stated.number AND c.sha256 = stated.sha256) THEN
        RAISE EXCEPTION 'no checkpoint covers batch %', stated.number USING ERRCODE = '55000';
    END IF;
    SELECT max(number) INTO upto FROM (
        SELECT number FROM audit_batches WHERE number <= stated.number ORDER BY number LIMIT most
    ) AS oldest;
    IF EXISTS (SELECT FROM audit_batches
        WHERE number <= upto AND made_at > now() - interval '30 days') THEN
        RAISE EXCEPTION 'not over: batch %', upto USING ERRCODE = '55000';
    END IF;
    DELETE FROM audit_log USING audit_batches AS b
        WHERE b.number <= upto AND sequence BETWEEN b.first_sequence AND b.last_sequence;
    DELETE FROM audit_batches WHERE number <= upto;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM audit_checkpoints WHERE number < least(upto, stated.number);
    RETURN deleted;
END
"""
