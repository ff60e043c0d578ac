"""The audit trail is read by time: of a tenant, of all, of a client, of a target."""

from alembic import op

from prediction_log.online_ddl import build_index, commit

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TABLE = "audit_log"
_INDEXES = {
    "ix_audit_log_occurred_at_id": ("occurred_at, id", ""),
    "ix_audit_log_tenant_occurred_at_id": ("tenant, occurred_at, id", ""),
    "ix_audit_log_client_id_occurred_at_id": ("client_id, occurred_at, id", ""),
    "ix_audit_log_target_occurred_at_id": ("target, occurred_at, id", "target IS NOT NULL"),
}


def upgrade() -> None:
    """Builds the indexes while everybody reads and writes."""
    for name, (columns, where) in _INDEXES.items():
        build_index(name, _TABLE, columns, where=where)


def downgrade() -> None:
    """Drops them."""
    for name in _INDEXES:
        op.execute(f"DROP INDEX IF EXISTS {name}")
    commit()
