"""Watches whether the log can work: the database answers and has the schema that we need."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum

import structlog
from prometheus_client import Gauge
from sqlalchemy import text

from prediction_log.database import Database
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow

_log = structlog.get_logger(__name__)

DATABASE_UP = Gauge(
    "weir_prediction_log_database_up", "1 while the database answers and is migrated, else 0."
)


class StoreState(StrEnum):
    """What was found at the last look."""

    UNKNOWN = "unknown"
    READY = "ready"
    AWAY = "away"
    NOT_MIGRATED = "not_migrated"


class SchemaWatch:
    """Looks at the database now and then and tells whether it can be used.

    Args:
        revisions: the schema's revisions that this version knows, oldest first. A database whose
            revision is none of them was migrated by a later version, and migrations keep the
            version before them working, so it can be used.
        tell: called with each change between usable and not.
    """

    def __init__(
        self,
        database: Database,
        revisions: Sequence[str],
        tell: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._database = database
        self._revisions = revisions
        self._tell = tell
        self._state = StoreState.UNKNOWN
        self.ready = asyncio.Event()
        """Set from the first time on that the database could be used."""

    async def look(self) -> None:
        """Looks once; logs and tells what has changed."""
        state, revision = await self._find()
        if state is self._state:
            return
        self._state = state
        usable = state is StoreState.READY
        DATABASE_UP.set(usable)
        if usable:
            _log.info("database_ready", revision=revision)
            self.ready.set()
        elif state is StoreState.AWAY:
            _log.warning("database_away")
        else:
            _log.error(
                "database_not_migrated",
                revision=revision or "none",
                needed=self._revisions[-1],
                remedy="python -m prediction_log migrate",
            )
        await self._tell(usable)

    async def _find(self) -> tuple[StoreState, str | None]:
        try:
            async with self._database.transaction() as connection:
                table = await connection.scalar(text("SELECT to_regclass('alembic_version')"))
                revision = None
                if table is not None:
                    revision = await connection.scalar(
                        text("SELECT version_num FROM alembic_version")
                    )
        except (LogStoreUnavailable, QueryTooSlow):
            return StoreState.AWAY, None
        if revision is None or revision in self._revisions[:-1]:
            return StoreState.NOT_MIGRATED, revision
        return StoreState.READY, revision
