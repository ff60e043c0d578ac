"""The trail of a database that was there before the chain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.engine import URL

from prediction_log.audit_trail import AuditTrail
from prediction_log.audit_verification import ChainWalk, Report
from prediction_log.database import database_url
from prediction_log.errors import LogStoreUnavailable
from prediction_log.migrate import downgrade, upgrade
from testkit.stores import PostgresStore

BEFORE, AFTER = "0005", "0006"
ROWS = """
INSERT INTO audit_log (id, occurred_at, action, outcome, reason)
SELECT gen_random_uuid(), now() - n * interval '1 second', 'token.issue', 'refused', 'r-' || n
FROM generate_series(1, {}) AS n
"""


async def verified(trail: Any) -> Report:
    """What `verify-audit` finds, which needs the schema of now."""
    await upgrade(database_url(trail.log.url), wait=1)
    return await ChainWalk(AuditTrail(trail.log.database)).run()


@pytest_asyncio.fixture
async def old(
    postgres_server: PostgresStore, open_log: Callable[..., Any], trail: Any
) -> AsyncIterator[tuple[URL, Any]]:
    """A database without the chain, with 2,500 rows, and its trail."""
    url = await asyncio.to_thread(postgres_server.create_database)
    await upgrade(database_url(url), wait=10, revision=BEFORE)
    trail.log = open_log(url)
    await trail.log.execute(ROWS.format(2500))
    yield database_url(url), trail


async def test_rows_that_were_there_are_chained(old: tuple[URL, Any]) -> None:
    url, trail = old
    await upgrade(url, wait=1, revision=AFTER)
    report = await verified(trail)
    assert (report.intact, report.rows, report.head.number) == (True, 2500, 3)
    await trail.write(trail.record())
    assert (await verified(trail)).rows == 2501


async def test_downgrade_keeps_the_rows_and_upgrade_chains_them_again(
    old: tuple[URL, Any],
) -> None:
    url, trail = old
    await upgrade(url, wait=1, revision=AFTER)
    await trail.write(trail.record(target="t"))
    await downgrade(url, wait=1, revision=BEFORE)
    assert (await trail.log.rows("SELECT count(*) AS n FROM audit_log"))[0]["n"] == 2501
    await trail.log.execute("DELETE FROM audit_log WHERE reason = 'r-1'")
    await upgrade(url, wait=1, revision=AFTER)
    report = await verified(trail)
    assert (report.intact, report.rows) == (True, 2500)


async def test_upgrade_that_was_cut_short_is_finished_by_the_next(old: tuple[URL, Any]) -> None:
    url, trail = old
    await upgrade(url, wait=1, revision=AFTER)
    # As if it had ended after the second batch.
    await trail.log.execute("DROP TRIGGER chained ON audit_log")
    for table in ("audit_log", "audit_batches", "audit_checkpoints"):
        await trail.log.execute(f"DROP TRIGGER append_only ON {table}")
    for statement in (
        "DROP FUNCTION audit_chained()",
        "DROP FUNCTION audit_append_only()",
        "UPDATE audit_log SET sequence = NULL, batch = NULL WHERE batch = 3",
        "DELETE FROM audit_batches WHERE number = 3",
        f"UPDATE alembic_version SET version_num = '{BEFORE}'",
    ):
        await trail.log.execute(statement)
    await upgrade(url, wait=1, revision=AFTER)
    report = await verified(trail)
    assert (report.intact, report.rows, report.head.number) == (True, 2500, 3)


async def test_version_before_waits_with_its_rows_for_the_one_that_can_chain_them(
    old: tuple[URL, Any],
) -> None:
    url, trail = old
    await upgrade(url, wait=1, revision=AFTER)
    # Away, not refused: what is refused would go to the dead letters.
    with pytest.raises(LogStoreUnavailable):
        await trail.log.execute(ROWS.format(1))
