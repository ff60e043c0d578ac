"""Alembic's environment: runs on the connection that `migrate` hands over."""

from alembic import context
from sqlalchemy import text

from prediction_log.tables import METADATA

# Any number: all replicas that migrate at the same time must use the same one.
_LOCK = 7_236_001

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA)
with context.begin_transaction():
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    context.run_migrations()
