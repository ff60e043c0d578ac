"""Brings the database to the schema that this version of the service needs."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, exc, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from prediction_log.rollup_backfill import backfill_rollups

_CONNECT_TIMEOUT = 5.0
_PAUSE = 0.5


class DatabaseAway(Exception):
    """Nothing answered, or nobody let us in, for as long as we were told to wait."""


def alembic_config() -> Config:
    """Alembic's configuration, made in code: the migrations travel inside the package."""
    config = Config()
    config.set_main_option("script_location", "prediction_log:migrations")
    return config


def schema_revisions() -> list[str]:
    """Every revision that this version knows, oldest first; the last one is the head."""
    scripts = ScriptDirectory.from_config(alembic_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


async def upgrade(url: URL, *, wait: float, revision: str = "head") -> None:
    """Migrates up to `revision`; waits at most `wait` seconds for the database.

    Raises:
        DatabaseAway: it did not come.
    """
    await _run(url, wait, lambda config: command.upgrade(config, revision), then=_fill_rollups)


async def downgrade(url: URL, *, wait: float, revision: str) -> None:
    """Migrates back to `revision`.

    Raises:
        DatabaseAway: the database did not come.
    """
    await _run(url, wait, lambda config: command.downgrade(config, revision))


async def _run(
    url: URL,
    wait: float,
    step: Callable[[Config], None],
    then: Callable[[AsyncEngine], Awaitable[None]] | None = None,
) -> None:
    # No statement timeout here: an index on a large table takes the time that it takes.
    engine = create_async_engine(
        url, poolclass=NullPool, connect_args={"timeout": _CONNECT_TIMEOUT}
    )
    try:
        await _await_database(engine, wait)
        async with engine.connect() as connection:
            await connection.run_sync(_step_on, step)
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
                cause = error.orig if isinstance(error, exc.DBAPIError) else error
                raise DatabaseAway(f"no connection within {wait:g} s: {cause}") from error
        await asyncio.sleep(_PAUSE)
