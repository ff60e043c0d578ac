"""Alembic's environment: runs on the connection that `migrate` hands over."""

import time

from alembic import context
from sqlalchemy import Connection, text

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.tables import METADATA

_PAUSE = 0.1


def _lock(connection: Connection) -> None:
    # Asked for again and again: who waits within a statement keeps a snapshot, and an index that
    # is built concurrently waits for every snapshot to go.
    while not _ask(connection, "SELECT pg_try_advisory_lock(:lock)"):
        time.sleep(_PAUSE)


def _ask(connection: Connection, question: str) -> bool:
    answer = bool(connection.scalar(text(question), {"lock": AdvisoryLock.MIGRATIONS}))
    connection.commit()
    return answer


connection = context.config.attributes["connection"]
# Of the session, since a migration may commit on its way.
_lock(connection)
context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=True)
try:
    with context.begin_transaction():
        context.run_migrations()
finally:
    connection.rollback()
    _ask(connection, "SELECT pg_advisory_unlock(:lock)")
