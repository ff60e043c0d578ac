"""Drift incidents: the revision that a row tells, and the history of revisions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds columns, all of them without touching a row, and the table of the history."""
    for column in (
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(128)),
        sa.Column("state", sa.String(16), nullable=False, server_default="open"),
    ):
        op.add_column("monitoring_alerts", column, if_not_exists=True)
    # No service has written to the table so far; what is there came by hand. The columns are
    # committed first, so that readers do not wait for this.
    with op.get_context().autocommit_block():
        op.execute("UPDATE monitoring_alerts SET state = 'closed' WHERE resolved_at IS NOT NULL")
    op.create_table(
        "monitoring_alert_changes",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.Column("tenant", sa.String(128)),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("signal", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, server_default="open"),
        sa.Column("severity", sa.String(128), nullable=False),
        sa.Column("details", JSONB, nullable=False),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("id", "revision", name="pk_monitoring_alert_changes"),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drops them; of each incident the latest revision stays."""
    op.drop_table("monitoring_alert_changes")
    for name in ("state", "tenant", "changed_at", "revision"):
        op.drop_column("monitoring_alerts", name)
