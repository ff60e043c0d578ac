"""Deployments, alerts, measurements of windows, and the audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "model_deployments",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("deployed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(128), nullable=False),
        sa.Column("traffic_percent", sa.SmallInteger, nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_model_deployments"),
    )
    op.create_table(
        "monitoring_alerts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("signal", sa.String(128), nullable=False),
        sa.Column("severity", sa.String(128), nullable=False),
        sa.Column("details", JSONB, nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_monitoring_alerts"),
    )
    op.create_table(
        "dataset_metrics",
        sa.Column("measurement_id", sa.Uuid, nullable=False),
        sa.Column("signal", sa.String(128), nullable=False),
        sa.Column("statistic", sa.String(128), nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(128), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("measurement_id", "signal", "statistic", name="pk_dataset_metrics"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(128), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("client_id", sa.String(128)),
        sa.Column("tenant", sa.String(128)),
        sa.Column("client_address", sa.String(128)),
        sa.Column("request_id", sa.String(128)),
        sa.Column("reason", sa.String(128)),
        _recorded_at(),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sa.CheckConstraint("outcome IN ('allowed', 'refused')", name="outcome"),
    )


def downgrade() -> None:
    """Drops them."""
    op.drop_table("audit_log")
    op.drop_table("dataset_metrics")
    op.drop_table("monitoring_alerts")
    op.drop_table("model_deployments")


def _recorded_at() -> sa.Column[object]:
    return sa.Column(
        "recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
    )
