"""Whether a version without traffic answered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; no row is rewritten."""
    op.add_column(
        "prediction_logs",
        sa.Column("shadow", sa.Boolean, nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Drops it."""
    op.drop_column("prediction_logs", "shadow")
