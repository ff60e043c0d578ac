"""Alembic's environment: runs on the connection that `migrate` hands over, holding the lock."""

from alembic import context

from prediction_log.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # What is done stays done, and no lock outlives its step.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
