"""The feedback on a prediction is found in the order in which it was given.

An id that stands for an idempotency key carries no time, so the order of the ids is none.
"""

from alembic import op

from prediction_log.online_ddl import build_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BY_ID = "ix_feedback_tenant_prediction_id_id"
_BY_TIME = "ix_feedback_tenant_prediction_id_given_at_id"


def upgrade() -> None:
    """Exchanges the index while everybody reads and writes."""
    build_index(_BY_TIME, "feedback", "tenant, prediction_id, given_at, id")
    _drop(_BY_ID)


def downgrade() -> None:
    """Exchanges it back."""
    build_index(_BY_ID, "feedback", "tenant, prediction_id, id")
    _drop(_BY_TIME)


def _drop(name: str) -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
