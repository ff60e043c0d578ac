"""Connections: how addresses are read, and how a pool outlives its server's moods."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import exc, select, text

from prediction_log.database import database_url, driver_connection
from prediction_log.domain import PredictionRecord
from prediction_log.errors import LogStoreUnavailable
from prediction_log.staged_copy import StagedCopy
from prediction_log.tables import PREDICTION_LOGS

OpenLog = Callable[..., Any]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://u:p@db:5433/weir", "postgresql+asyncpg://u:p@db:5433/weir"),
        ("postgres://u@db/weir", "postgresql+asyncpg://u@db/weir"),
        ("postgresql+asyncpg://u@db/weir", "postgresql+asyncpg://u@db/weir"),
        (
            "postgresql://u@db/weir?sslmode=verify-full&options=x",
            "postgresql+asyncpg://u@db/weir?options=x&ssl=verify-full",
        ),
    ],
)
def test_addresses_are_read_as_operators_write_them(address: str, expected: str) -> None:
    assert database_url(address).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize("address", ["", "db:5432/weir", "mysql://u:secret@db/weir"])
def test_address_that_is_not_postgresqls_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        database_url(address)
    assert "secret" not in str(caught.value)


async def test_log_works_without_prepared_statements(
    log: Any, facts: Any, open_log: OpenLog
) -> None:
    pooled = open_log(log.url, statement_cache_size=0)
    events = facts.events(facts.prediction(), facts.prediction())
    for _ in range(3):
        await pooled.recorder().record(events)
    assert await pooled.count("prediction_logs") == 2


async def test_staged_rows_do_not_outlive_their_batch(log: Any, facts: Any) -> None:
    for _ in range(3):
        await log.recorder().record(facts.events(facts.prediction()))
    assert await log.count("prediction_logs") == 3
    async with log.database.transaction() as connection:
        staged = select(StagedCopy(PredictionRecord, PREDICTION_LOGS).staging)
        assert (await connection.execute(staged)).all() == []


async def test_connections_that_the_server_closed_are_replaced_unnoticed(
    log: Any, open_log: OpenLog
) -> None:
    pooled = open_log(log.url, pool_size=1)
    (backend,) = await pooled.rows("SELECT pg_backend_pid() AS pid")
    await log.rows("SELECT pg_terminate_backend(:pid, 5000)", pid=backend["pid"])
    (another,) = await pooled.rows("SELECT pg_backend_pid() AS pid")
    assert another["pid"] != backend["pid"]


async def test_errors_do_not_repeat_values(log: Any) -> None:
    with pytest.raises(Exception, match="no_such_column") as caught:
        await log.rows("SELECT no_such_column FROM feedback WHERE comment = :c", c="Granny's")
    assert "Granny" not in str(caught.value)


async def test_programming_errors_are_not_taken_for_outages(log: Any) -> None:
    with pytest.raises(Exception, match="no_such_column"):
        await log.rows("SELECT no_such_column FROM prediction_logs")


async def test_connection_that_broke_while_it_was_idle_is_an_outage(log: Any) -> None:
    async def use_broken() -> None:
        async with log.database.transaction():
            broken = asyncpg.InternalClientError("cannot switch to state 15")
            raise exc.InternalError("SELECT 1", {}, broken)

    with pytest.raises(LogStoreUnavailable):
        await use_broken()


async def test_server_ends_the_transaction_of_a_process_that_froze(
    log: Any, open_log: OpenLog
) -> None:
    database = open_log(log.url, statement_timeout=2.0, pool_size=1).database
    asked = text("SHOW idle_in_transaction_session_timeout")
    async with database.transaction() as connection:
        assert await connection.scalar(asked) == "3s"
        raw = await driver_connection(connection)
    # Of the transaction, not of the session, which may serve another client next.
    assert await raw.fetchval("SHOW idle_in_transaction_session_timeout") == "0"


def pool_metric(name: str, pool: str, **labels: str) -> float | None:
    labels["pool"] = pool
    return REGISTRY.get_sample_value(f"weir_prediction_log_database_{name}", labels)


async def test_pool_tells_what_is_in_use_and_who_waited(log: Any, open_log: OpenLog) -> None:
    pooled = open_log(log.url, pool_size=2, name="watched")
    assert pool_metric("most_connections", "watched") == 2
    assert pool_metric("pool_timeouts_total", "watched") == 0
    async with pooled.database.transaction():
        assert pool_metric("connections", "watched", state="in_use") == 1
    assert pool_metric("connections", "watched", state="in_use") == 0
    assert pool_metric("connections", "watched", state="idle") == 1
    assert pool_metric("wait_seconds_count", "watched") == 1


async def test_pool_counts_who_got_no_connection_in_time(log: Any, open_log: OpenLog) -> None:
    pooled = open_log(log.url, pool_size=1, pool_timeout=0.05, name="exhausted")
    async with pooled.database.transaction():
        with pytest.raises(LogStoreUnavailable):
            async with pooled.database.transaction():
                pytest.fail("there was a second connection")
    assert pool_metric("pool_timeouts_total", "exhausted") == 1
