"""Every prediction of an input is found by its hash.

Hashes have no order, so a B-tree would be written at a random place for each row that comes in. A
Bloom filter for each few hundred kilobytes of rows costs intake nothing: it is made once those are
full. It is read whole for each question, a few megabytes for millions of rows.
"""

from alembic import op

from prediction_log.online_ddl import build_partitioned_index, commit

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NAME = "ix_prediction_logs_input_sha256"


def upgrade() -> None:
    """Builds the index leaf by leaf while everybody reads and writes."""
    build_partitioned_index(
        _NAME,
        "prediction_logs",
        "USING brin (input_sha256 bytea_bloom_ops"
        "(n_distinct_per_range = 1000, false_positive_rate = 0.002)) "
        "WITH (pages_per_range = 32, autosummarize = on)",
    )


def downgrade() -> None:
    """Drops it."""
    op.execute(f"DROP INDEX IF EXISTS {_NAME}")
    commit()
