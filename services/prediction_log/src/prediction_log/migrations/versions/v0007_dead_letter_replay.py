"""Dead letters say whether they were tried again, and whether that helped."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the moments; the version before does not look at them."""
    op.execute(
        "ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS tried_at timestamptz,"
        " ADD COLUMN IF NOT EXISTS replayed_at timestamptz"
    )


def downgrade() -> None:
    """Drops them, with the letters that were replayed: their rows are where they belong."""
    op.execute("DELETE FROM dead_letters WHERE replayed_at IS NOT NULL")
    op.execute("ALTER TABLE dead_letters DROP COLUMN replayed_at, DROP COLUMN tried_at")
