"""Migrations of a filled table, while others write and read.

WEIR_TEST_MIGRATION_ROWS sets the size of the table: `make test-migrations` takes a million.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import pytest

from prediction_log.database import database_url
from prediction_log.migrate import downgrade, upgrade
from testkit.stores import PostgresStore

ROWS = int(os.environ.get("WEIR_TEST_MIGRATION_ROWS", "20000"))
LONGEST_WAIT = 1.0
FIRST = "0002"
COLUMNS = (
    "id, predicted_at, tenant, client_id, request_id, model, model_version, input_sha256, "
    "input_characters, input_tokens, input_unknown_tokens, input_special_tokens, label, "
    "confidence, probabilities, inference_ms"
)
VALUES = (
    "to_timestamp(1327000000), 'tenant-' || n % 7, 'client', 'request', 'sentiment', '1', "
    "sha256(n::text::bytea), 40, 12, 1, 2, 'positive', 0.75, '{\"positive\": 0.75}', 3.5"
)
# UUIDv7s of January 2012 or, for the net, of the day that they are made on.
ID = (
    "(lpad(to_hex({ms}), 12, '0') || '7' || lpad(to_hex({n} % 4096), 3, '0') || '8' || "
    "lpad(to_hex({n}), 15, '0'))::uuid"
)
MONTH = """
CREATE TABLE prediction_logs_y2012m01 PARTITION OF prediction_logs
FOR VALUES FROM ('01349690-d000-0000-0000-000000000000') TO ('01353635-f400-0000-0000-000000000000')
"""


def plain(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


async def busy(url: str, statement: str, done: asyncio.Event, ran: Callable[[], None]) -> None:
    connection = await asyncpg.connect(plain(url), statement_cache_size=0)
    with suppress(asyncio.CancelledError):
        while not done.is_set():
            await connection.execute(statement)
            ran()
    await connection.close()


async def longest_wait(url: str, done: asyncio.Event) -> float:
    """Seconds that a writer or a reader waited for a table, as the server sees it."""
    connection = await asyncpg.connect(plain(url))
    longest = 0.0
    while not done.is_set():
        waited = await connection.fetchval(
            "SELECT extract(epoch FROM max(clock_timestamp() - waitstart))::float "
            "FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted "
            "AND application_name <> 'weir-prediction-log-migrate'"
        )
        longest = max(longest, waited or 0.0)
        await asyncio.sleep(0.02)
    await connection.close()
    return longest


@pytest.mark.timeout(1800)
async def test_nobody_waits_longer_than_a_second_for_a_migration(
    postgres_server: PostgresStore,
) -> None:
    url = await asyncio.to_thread(postgres_server.create_database, owner="weir_owner")
    address = database_url(url)
    await upgrade(address, wait=10, revision=FIRST)
    setup = await asyncpg.connect(plain(url), statement_cache_size=0)
    await setup.execute(MONTH)
    for milliseconds, rows in (("1327000000000", ROWS * 9 // 10), ("1400000000000", ROWS // 10)):
        await setup.execute(
            f"INSERT INTO prediction_logs ({COLUMNS}) "
            f"SELECT {ID.format(ms=milliseconds + '::bigint', n='n')}, {VALUES} "
            f"FROM generate_series(1, {rows}) AS n"
        )
    done, written = asyncio.Event(), 0

    def wrote() -> None:
        nonlocal written
        written += 1

    random_id = ID.format(ms="1328000000000::bigint", n="(random() * 1e9)::bigint")
    write = (
        f"INSERT INTO prediction_logs ({COLUMNS}) SELECT {random_id}, {VALUES} "
        "FROM (VALUES (1)) AS one (n)"
    )
    read = "SELECT id FROM prediction_logs WHERE tenant = 'tenant-3' ORDER BY id DESC LIMIT 50"
    watching = asyncio.create_task(longest_wait(url, done))
    others = [
        asyncio.create_task(busy(url, write, done, wrote)),
        asyncio.create_task(busy(url, read, done, lambda: None)),
    ]
    await upgrade(address, wait=10)
    (leaf,) = await setup.fetch(
        "SELECT DISTINCT tableoid::regclass::text AS t FROM prediction_logs "
        "WHERE id < '01353635-f400-0000-0000-000000000000'"
    )
    assert leaf["t"] == "prediction_logs_y2012m01_standard"
    await downgrade(address, wait=10, revision=FIRST)
    done.set()
    await asyncio.gather(*others)
    assert await watching < LONGEST_WAIT
    kept = await setup.fetchval("SELECT count(*) FROM prediction_logs")
    await setup.close()
    assert kept == ROWS * 9 // 10 + ROWS // 10 + written
