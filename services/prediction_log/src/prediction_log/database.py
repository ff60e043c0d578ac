"""Connections to PostgreSQL that give up in time, and its failures in the log's own words."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import event, exc, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from prediction_log.errors import LogStoreUnavailable, QueryTooSlow, RejectedData
from prediction_log.pool_metrics import PoolMetrics

_MARGIN = 1.0
"""Seconds beyond the statement timeout after which the server counts as away."""
_COMMAND_CONNECT_TIMEOUT = 5.0
_CANCELLED = "57014"
_REJECTING = ("22", "23", "54")
"""SQLSTATE classes about the values: data exception, integrity violation, limit exceeded."""
_AWAY = ("08", "25", "28", "3D", "40", "42501", "42883", "42P01", "53", "55", "57", "58", "XX")
"""SQLSTATEs, by their beginnings, that another try or an operator can mend."""

# In each transaction, because PgBouncer takes no such parameter at the start of a session.
_TIMEOUTS = text(
    "SELECT set_config('statement_timeout', :statement, true), "
    # Of a process that froze or was cut off: what it has locked would stop the other replicas.
    "set_config('idle_in_transaction_session_timeout', :idle, true)"
)


def database_url(address: str) -> URL:
    """An address as operators write it (libpq's, `sslmode` included) for SQLAlchemy with asyncpg.

    Raises:
        ValueError: it is no PostgreSQL address; the message does not repeat it.
    """
    try:
        url = make_url(address)
    except (exc.ArgumentError, ValueError):
        raise ValueError("is no database address") from None
    if url.drivername not in {"postgres", "postgresql", "postgresql+asyncpg"}:
        raise ValueError("is no PostgreSQL address")
    if mode := url.query.get("sslmode"):
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url.set(drivername="postgresql+asyncpg")


class Database:
    """A bounded pool of connections.

    Args:
        statement_timeout: longest that a statement may run, seconds. A transaction as a whole gets
            a second more, and ends within another two if the server is frozen.
        statement_cache_size: 0 behind a PgBouncer that pools transactions.
        name: what metrics call the pool.
    """

    def __init__(
        self,
        url: URL,
        *,
        pool_size: int,
        pool_timeout: float,
        connect_timeout: float,
        statement_timeout: float,
        statement_cache_size: int,
        name: str = "command",
    ) -> None:
        self._limit = statement_timeout + _MARGIN
        self._timeouts = {
            "statement": str(int(statement_timeout * 1000)),
            "idle": str(int(self._limit * 1000)),
        }
        self._engine = _engine(
            url,
            pool_size=pool_size,
            pool_timeout=pool_timeout,
            connect_args={
                "timeout": connect_timeout,
                "command_timeout": self._limit,
                "statement_cache_size": statement_cache_size,
                "prepared_statement_cache_size": statement_cache_size,
                "server_settings": {"application_name": "weir-prediction-log"},
                # Behind PgBouncer the same name may mean another client's statement.
                **({} if statement_cache_size else {"prepared_statement_name_func": unique_name}),
            },
        )
        self._metrics = PoolMetrics(name, self._engine.sync_engine.pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commits at the end, rolls back on an error.

        Raises:
            LogStoreUnavailable: the server is away, full, or does not answer in time.
            QueryTooSlow: the server ended a statement that ran for too long.
            RejectedData: the server refuses the values themselves.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._limit), self._engine.connect() as connection:
                self._metrics.wait_seconds.observe(time.perf_counter() - began)
                raw = await driver_connection(connection)
                try:
                    await connection.execute(_TIMEOUTS, self._timeouts)
                    yield connection
                    await connection.commit()
                except (asyncio.CancelledError, TimeoutError):
                    # A roll-back would wait for the server that did not answer.
                    raw.terminate()
                    raise
        except Exception as error:
            if isinstance(error, exc.TimeoutError):
                self._metrics.timeouts.inc()
            translated = _translate(error)
            if translated is None:
                raise
            raise translated from error

    async def close(self) -> None:
        """Closes every connection."""
        await self._engine.dispose()


@asynccontextmanager
async def command_database(address: str, *, statement_timeout: float) -> AsyncIterator[Database]:
    """One connection, for a command that somebody runs beside the service.

    Args:
        address: as operators write it.
        statement_timeout: longest that a statement may run, seconds.
    """
    database = Database(
        database_url(address),
        pool_size=1,
        pool_timeout=_COMMAND_CONNECT_TIMEOUT,
        connect_timeout=_COMMAND_CONNECT_TIMEOUT,
        statement_timeout=statement_timeout,
        # It may be behind a PgBouncer.
        statement_cache_size=0,
    )
    try:
        yield database
    finally:
        await database.close()


async def driver_connection(connection: AsyncConnection) -> Any:
    """The asyncpg connection beneath, for what SQLAlchemy has no words for: COPY."""
    return (await connection.get_raw_connection()).driver_connection


def unique_name() -> str:
    """Of a prepared statement that no other client of a PgBouncer has."""
    return f"__asyncpg_{uuid4()}__"


def _engine(url: URL, **options: Any) -> AsyncEngine:
    # Overflow connections would be opened and closed for each burst.
    # Errors are logged whole, and values may be what somebody wrote.
    engine = create_async_engine(url, max_overflow=0, hide_parameters=True, **options)

    @event.listens_for(engine.sync_engine, "checkout")
    def replace_closed(dbapi_connection: Any, *_: object) -> None:
        # A restart of the server closes the socket; finding out here costs no round trip.
        if dbapi_connection.driver_connection.is_closed():
            raise exc.DisconnectionError

    return engine


def _translate(error: Exception) -> Exception | None:
    state = sqlstate(error)
    if state == _CANCELLED:
        return QueryTooSlow("The query takes too long; narrow its filter.")
    if state.startswith(_REJECTING):
        return RejectedData(f"PostgreSQL refuses the values ({state})")
    lost = isinstance(error, exc.TimeoutError | exc.InterfaceError | OSError | TimeoutError)
    # What the server ended while it was idle fails like a fault of the driver.
    lost = lost or isinstance(error, exc.InternalError | asyncpg.InternalClientError)
    lost = lost or isinstance(error, asyncpg.InterfaceError)
    if lost or state.startswith(_AWAY):
        original = error.orig if isinstance(error, exc.DBAPIError) else error
        return LogStoreUnavailable(f"{type(original).__name__} {state}".strip())
    return None


def sqlstate(error: BaseException) -> str:
    """The server's error code, through SQLAlchemy's layers; empty where the server said nothing."""
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(getattr(original, "sqlstate", None) or "")
