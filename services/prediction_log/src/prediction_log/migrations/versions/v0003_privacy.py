"""What is private of a prediction, the keys of subjects, and the erasures of subjects."""

import sqlalchemy as sa
from alembic import op

from prediction_log.online_ddl import add_check, build_partitioned_index, commit

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEX = "ix_prediction_logs_tenant_subject_digest_id"
_COLUMNS = (
    sa.Column("input_keeping", sa.String(16), nullable=False, server_default="nothing"),
    sa.Column("input_unopened", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("subject_digest", sa.LargeBinary),
    sa.Column("input_text", sa.Text),
    sa.Column("input_ciphertext", sa.LargeBinary),
    sa.Column("input_key_id", sa.Uuid),
    sa.Column("erased_at", sa.DateTime(timezone=True)),
)
_CHECKS = {
    "ck_prediction_logs_input_text": "input_text IS NULL OR input_keeping = 'plain'",
    "ck_prediction_logs_input_ciphertext": "input_ciphertext IS NULL "
    "OR input_keeping = 'encrypted' AND input_key_id IS NOT NULL",
}
_FUNCTION = """
CREATE OR REPLACE FUNCTION drop_comment_on_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    erased timestamptz;
BEGIN
    -- Locked, so that an erasure which is just under way is seen.
    SELECT erased_at INTO erased FROM prediction_logs
    WHERE id = NEW.prediction_id AND tenant = NEW.tenant FOR SHARE;
    IF erased IS NOT NULL THEN
        NEW.comment := NULL;
    END IF;
    RETURN NEW;
END $$
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER feedback_drop_comment_on_erased BEFORE INSERT ON feedback
    FOR EACH ROW WHEN (NEW.comment IS NOT NULL) EXECUTE FUNCTION drop_comment_on_erased()
"""


def upgrade() -> None:
    """Makes the tables, the columns and what keeps them right."""
    op.create_table(
        "subject_keys",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("subject_digest", sa.LargeBinary, nullable=False),
        sa.Column("master_key", sa.String(128), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_subject_keys"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_subject_keys_tenant_subject_digest",
        "subject_keys",
        ["tenant", "subject_digest"],
        unique=True,
        if_not_exists=True,
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("subject_digest", sa.LargeBinary, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("redacted", sa.BigInteger, nullable=False, server_default="0"),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_erasures_tenant_subject_digest_requested_at",
        "erasures",
        ["tenant", "subject_digest", "requested_at"],
        if_not_exists=True,
    )
    for column in _COLUMNS:
        op.add_column("prediction_logs", column, if_not_exists=True)
    op.execute(_FUNCTION)
    op.execute(_TRIGGER)
    commit()
    for name, condition in _CHECKS.items():
        add_check("prediction_logs", name, condition)
    build_partitioned_index(
        _INDEX,
        "prediction_logs",
        "tenant, subject_digest, id",
        where="subject_digest IS NOT NULL",
    )


def downgrade() -> None:
    """Drops them; encrypted texts are lost with their keys."""
    op.execute("DROP TRIGGER feedback_drop_comment_on_erased ON feedback")
    op.execute("DROP FUNCTION drop_comment_on_erased()")
    op.drop_index(_INDEX, "prediction_logs")
    for name in _CHECKS:
        op.drop_constraint(name, "prediction_logs")
    for column in reversed(_COLUMNS):
        op.drop_column("prediction_logs", column.name)
    op.drop_table("erasures")
    op.drop_table("subject_keys")


def _recorded_at() -> sa.Column[object]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
    )
