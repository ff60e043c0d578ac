"""Brings the database to the schema that this version of the service needs."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, exc, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.database import driver_connection, sqlstate, unique_name
from prediction_log.grants import grant_to
from prediction_log.online_ddl import LOCK_TIMEOUT
from prediction_log.rollup_backfill import backfill_rollups

_log = structlog.get_logger(__name__)

_CONNECT_TIMEOUT = 5.0
_PAUSE = 0.5
_PATIENCE = 300.0
"""Seconds to go on trying where others hold a table, or another migration runs."""
_IN_THE_WAY = ("55P03", "40P01")
"""SQLSTATEs of a table that others hold: no lock in time, deadlock."""


class DatabaseAway(Exception):
    """Nothing answered, or nobody let us in, for as long as we were told to wait."""


class MigrationBlocked(Exception):
    """Somebody held the lock of migrations, or a table, for as long as we were told to wait."""


def alembic_config() -> Config:
    """Alembic's configuration, made in code: the migrations travel inside the package."""
    config = Config()
    config.set_main_option("script_location", "prediction_log:migrations")
    return config


def schema_revisions() -> list[str]:
    """Every revision that this version knows, oldest first; the last one is the head."""
    scripts = ScriptDirectory.from_config(alembic_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


async def upgrade(
    url: URL,
    *,
    wait: float,
    revision: str = "head",
    patience: float = _PATIENCE,
    service_role: str = "",
    make_role: bool = False,
) -> None:
    """Migrates up to `revision`; waits at most `wait` seconds for the database.

    Args:
        patience: seconds to go on trying where others are in the way.
        service_role: who gets what the service needs, once the schema is the newest; empty where
            the service owns the tables.
        make_role: makes that role where it is missing.

    Raises:
        DatabaseAway: it did not come.
        MigrationBlocked: others were in the way for longer.
        RoleMissing: there is no such role.
    """

    async def then(engine: AsyncEngine) -> None:
        if service_role:
            async with engine.connect() as connection:
                await grant_to(connection, service_role, make_role=make_role)
        await _fill_rollups(engine)

    await _run(url, wait, patience, lambda config: command.upgrade(config, revision), then)


async def downgrade(url: URL, *, wait: float, revision: str, patience: float = _PATIENCE) -> None:
    """Migrates back to `revision`.

    Raises:
        DatabaseAway: the database did not come.
        MigrationBlocked: others were in the way for longer than `patience`.
    """
    await _run(url, wait, patience, lambda config: command.downgrade(config, revision))


async def _run(
    url: URL,
    wait: float,
    patience: float,
    step: Callable[[Config], None],
    then: Callable[[AsyncEngine], Awaitable[None]] | None = None,
) -> None:
    # No statement timeout here: an index on a large table takes the time that it takes.
    engine = _engine(url)
    try:
        await _await_database(engine, wait)
        give_up = time.monotonic() + patience
        async with _alone(engine, give_up):
            while not await _step_done(engine, step):
                if time.monotonic() >= give_up:
                    raise MigrationBlocked("others hold a table that must change")
                await asyncio.sleep(_PAUSE)
            if then is not None:
                await then(engine)
    finally:
        await engine.dispose()


async def _fill_rollups(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        there = await connection.scalar(text("SELECT to_regclass('prediction_rollup_backfill')"))
    # Not so where an earlier revision was asked for.
    if there is not None:
        await backfill_rollups(engine)


def _engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        connect_args={
            "timeout": _CONNECT_TIMEOUT,
            # The schema changes under prepared statements; and PgBouncer may be in between.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": unique_name,
            "server_settings": {"application_name": "weir-prediction-log-migrate"},
        },
    )

    @event.listens_for(engine.sync_engine, "begin")
    def wait_briefly_for_tables(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")

    return engine


@asynccontextmanager
async def _alone(engine: AsyncEngine, give_up: float) -> AsyncIterator[None]:
    """Holds the lock of migrations, in a transaction that does nothing else.

    A session's lock would not survive a PgBouncer, and a migration commits more than once. The
    transaction has no snapshot, so that indexes can be built beside it.
    """
    lock = select(func.pg_try_advisory_xact_lock(AdvisoryLock.MIGRATIONS))
    told = False
    async with engine.connect() as connection:
        while not await connection.scalar(lock):
            # Its snapshot, too, would keep the other one's index from being ready.
            await connection.rollback()
            if time.monotonic() >= give_up:
                raise MigrationBlocked("another migration runs")
            if not told:
                _log.info("waiting_for_another_migration")
            told = True
            await asyncio.sleep(_PAUSE)
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        # The query's portal would hold its snapshot; a simple query takes its place and ends.
        await (await driver_connection(connection)).execute("SELECT 1")
        yield


async def _step_done(engine: AsyncEngine, step: Callable[[Config], None]) -> bool:
    """Whether it went through; where somebody holds a table, what was committed stays."""
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_step_on, step)
    except exc.DBAPIError as error:
        if sqlstate(error) not in _IN_THE_WAY:
            raise
        _log.info("table_is_in_use", reason=str(error.orig))
        return False
    return True


def _step_on(connection: Connection, step: Callable[[Config], None]) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    step(config)


async def _await_database(engine: AsyncEngine, wait: float) -> None:
    give_up = time.monotonic() + wait
    while True:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT), engine.connect():
                return
        except (OSError, TimeoutError, exc.SQLAlchemyError, asyncpg.PostgresError) as error:
            if time.monotonic() >= give_up:
                cause: Any = error.orig if isinstance(error, exc.DBAPIError) else error
                raise DatabaseAway(f"no connection within {wait:g} s: {cause}") from error
        await asyncio.sleep(_PAUSE)
