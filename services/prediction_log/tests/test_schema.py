"""Migrations."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from prediction_log.database import database_url
from prediction_log.event_decoding import decode_feedback
from prediction_log.migrate import DatabaseAway, downgrade, upgrade
from prediction_log.partitions import make_partitions
from prediction_log.tables import METADATA
from testkit.stores import PostgresStore

OpenLog = Callable[..., Any]
NOVEMBER = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def url(postgres_server: PostgresStore) -> str:
    """An empty database."""
    return postgres_server.create_database()


@pytest.fixture
def migrated(url: str) -> str:
    asyncio.run(upgrade(database_url(url), wait=10))
    return url


async def test_tables_and_migrations_are_the_same(migrated: str, open_log: OpenLog) -> None:
    def differences(connection: Connection) -> list[Any]:
        def of_the_schema(thing: Any, name: str | None, kind: str, *_: object) -> bool:
            table = name if kind == "table" else getattr(thing, "table", thing).name
            return not str(table).startswith("prediction_logs_")

        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": of_the_schema,
            },
        )
        return list(compare_metadata(context, METADATA))

    log = open_log(migrated)
    await make_partitions(log.database, NOVEMBER, ahead=1)
    async with log.database.transaction() as connection:
        assert await connection.run_sync(differences) == []
    checks = await log.rows(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conparentid = 0 "
        "AND conislocal AND connamespace = 'public'::regnamespace"
    )
    assert {check["conname"] for check in checks} == {
        "ck_audit_log_outcome",
        "ck_prediction_logs_input_ciphertext",
        "ck_prediction_logs_input_text",
    }


async def test_downgrade_keeps_the_predictions_until_the_first_revision(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await log.recorder().record(facts.events(facts.prediction()))
    address = database_url(migrated)
    await downgrade(address, wait=1, revision="0001")
    assert await log.count("prediction_logs") == 1
    assert (await log.rows("SELECT to_regclass('audit_log') AS t"))[0]["t"] is None
    await upgrade(address, wait=1)
    await log.recorder().record(facts.events(facts.prediction()))
    assert await log.count("prediction_logs") == 2
    assert await log.count("audit_log") == 0
    await make_partitions(log.database, NOVEMBER, ahead=1)
    await downgrade(address, wait=1, revision="base")
    remaining = await log.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert remaining == [{"tablename": "alembic_version"}]
    await upgrade(address, wait=1)
    assert await log.count("prediction_logs") == 0


async def test_index_of_feedback_is_exchanged_with_rows_in_the_table(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    opinions = [facts.feedback(facts.prediction(), score=0.5) for _ in range(20)]
    await log.recorder(decode_feedback).record(facts.events(*opinions))

    async def columns() -> list[str]:
        rows = await log.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'feedback'")
        return sorted(row["indexdef"].partition("(")[2] for row in rows)

    before = await columns()
    assert "tenant, prediction_id, given_at, id)" in before
    await downgrade(database_url(migrated), wait=1, revision="0011")
    assert "tenant, prediction_id, id)" in await columns()
    await upgrade(database_url(migrated), wait=1)
    assert await columns() == before
    assert await log.count("feedback") == 20


def migrate_command(url: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "prediction_log", "migrate"],
        cwd=directory,
        env={"WEIR_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_migrate_command_needs_no_ini_file_and_may_run_many_times_at_once(
    url: str, tmp_path: Path
) -> None:
    for processes in (3, 1):
        running = [migrate_command(url, tmp_path) for _ in range(processes)]
        for process in running:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0, output
            assert '"event": "migrated"' in output


async def test_database_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    address = database_url(f"postgresql://nobody@/weir?host={tmp_path}")
    with pytest.raises(DatabaseAway, match=r"no connection within 0\.1 s"):
        await upgrade(address, wait=0.1)
