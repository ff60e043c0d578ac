"""Migrations and partitions."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from prediction_log.database import database_url
from prediction_log.migrate import DatabaseAway, downgrade, upgrade
from prediction_log.partitions import first_id_at, keep_partitions, make_partitions, months_from
from prediction_log.tables import METADATA
from servicekit.identifiers import new_id
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


def id_at(moment: datetime) -> UUID:
    """A UUIDv7 made at that moment."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (new_id().int & (1 << 80) - 1))


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


def test_months_follow_each_other_over_the_year() -> None:
    assert months_from(datetime(2026, 11, 30, 23, 59, tzinfo=UTC), 3) == [
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    ]


def test_first_id_of_a_moment_divides_the_ids_before_and_after_it() -> None:
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    before = id_at(datetime(2026, 11, 30, 23, 59, 59, 999000, tzinfo=UTC))
    assert before < first_id_at(moment) <= id_at(moment)


async def test_each_prediction_lies_in_the_partition_of_its_month(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    made = await make_partitions(log.database, NOVEMBER, ahead=2)
    assert made == [
        "prediction_logs_y2026m11",
        "prediction_logs_y2026m12",
        "prediction_logs_y2027m01",
    ]
    assert await make_partitions(log.database, NOVEMBER, ahead=2) == []
    moments = [
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(9998, 1, 1, tzinfo=UTC),
    ]
    batch = [facts.prediction(id=id_at(moment)) for moment in moments]
    for _ in range(2):
        await log.recorder().record(facts.events(*batch))
    places = await log.rows("SELECT tableoid::regclass::text AS t FROM prediction_logs ORDER BY id")
    assert [place["t"] for place in places] == [
        "prediction_logs_default",
        "prediction_logs_y2026m11",
        "prediction_logs_y2026m11",
        "prediction_logs_y2026m12",
        "prediction_logs_default",
    ]


async def test_rows_of_the_default_partition_move_when_their_month_comes(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await log.recorder().record(facts.events(facts.prediction(id=id_at(NOVEMBER))))
    await make_partitions(log.database, NOVEMBER, ahead=1)
    (row,) = await log.rows("SELECT tableoid::regclass::text AS t FROM prediction_logs")
    assert row["t"] == "prediction_logs_y2026m11"


async def test_replicas_may_make_partitions_while_records_come(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    batches = [
        facts.events(*(facts.prediction(id=id_at(NOVEMBER)) for _ in range(20))) for _ in range(20)
    ]
    await asyncio.gather(
        make_partitions(log.database, NOVEMBER, ahead=3),
        make_partitions(open_log(migrated).database, NOVEMBER, ahead=3),
        *(log.recorder().record(batch) for batch in batches[:3]),
    )
    for batch in batches:
        await log.recorder().record(batch)
    assert await log.count("prediction_logs") == 400
    partitions = await log.rows(
        "SELECT 1 FROM pg_inherits WHERE inhparent = 'prediction_logs'::regclass"
    )
    assert len(partitions) == 5


async def test_partitions_that_cannot_be_made_stop_nothing(
    url: str, open_log: OpenLog, capsys: pytest.CaptureFixture[str]
) -> None:
    await keep_partitions(open_log(url).database, NOVEMBER, ahead=1)
    assert "partitions_not_made" in capsys.readouterr().out


async def test_queries_by_time_touch_only_the_partitions_of_that_time(
    migrated: str, open_log: OpenLog, facts: Any
) -> None:
    log = open_log(migrated)
    await make_partitions(log.database, NOVEMBER, ahead=2)
    low, high = (first_id_at(start) for start in months_from(NOVEMBER, 2))
    plan = await log.rows(
        "EXPLAIN SELECT * FROM prediction_logs WHERE tenant = 't' AND id >= :low AND id < :high "
        "ORDER BY id DESC LIMIT 50",
        low=low,
        high=high,
    )
    text = "\n".join(line["QUERY PLAN"] for line in plan)
    assert "prediction_logs_y2026m11" in text
    assert "prediction_logs_y2026m12" not in text
