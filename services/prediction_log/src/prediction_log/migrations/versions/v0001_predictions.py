"""Predictions, the feedback on them, and what could not be taken."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables; the service adds the months, the default partition holds the rest."""
    op.create_table(
        "prediction_logs",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("predicted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("delegate_id", sa.String(128)),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("input_sha256", sa.LargeBinary, nullable=False),
        sa.Column("input_characters", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("input_unknown_tokens", sa.Integer, nullable=False),
        sa.Column("input_special_tokens", sa.Integer, nullable=False),
        sa.Column("label", sa.String(256), nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("probabilities", JSONB, nullable=False),
        sa.Column("inference_ms", sa.Double, nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_prediction_logs"),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_prediction_logs_tenant_id", "prediction_logs", ["tenant", "id"])
    op.execute("CREATE TABLE prediction_logs_default PARTITION OF prediction_logs DEFAULT")
    op.create_table(
        "feedback",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prediction_id", sa.Uuid, nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("correct_label", sa.String(256)),
        sa.Column("score", sa.Double),
        sa.Column("comment", sa.String(2000)),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index(
        "ix_feedback_tenant_prediction_id_id", "feedback", ["tenant", "prediction_id", "id"]
    )
    op.create_table(
        "dead_letters",
        sa.Column("stream", sa.String(128), nullable=False),
        sa.Column("entry_id", sa.String(128), nullable=False),
        sa.Column("type_name", sa.String(256), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("stream", "entry_id", name="pk_dead_letters"),
    )


def downgrade() -> None:
    """Drops them, with every partition."""
    op.drop_table("dead_letters")
    op.drop_table("feedback")
    op.drop_table("prediction_logs")


def _recorded_at() -> sa.Column[object]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
    )
