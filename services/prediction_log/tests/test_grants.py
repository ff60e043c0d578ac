"""The service's role may do what the service does, and nothing else."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from prediction_log.database import database_url
from prediction_log.errors import LogStoreUnavailable
from prediction_log.grants import TABLES, RoleMissing
from prediction_log.migrate import upgrade
from prediction_log.partitions import make_partitions
from prediction_log.tables import METADATA
from testkit.stores import PostgresStore, as_role

OpenLog = Callable[..., Any]
ROLE = "weir"


def test_every_table_says_what_the_service_may_do_with_it() -> None:
    assert set(TABLES) == {*METADATA.tables, "alembic_version"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM prediction_logs",
        "TRUNCATE prediction_logs",
        "DROP TABLE prediction_logs",
        "ALTER TABLE feedback ADD COLUMN mine text",
        "CREATE TABLE mine (id integer)",
        "UPDATE audit_log SET reason = 'none'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_batches",
        "DELETE FROM audit_checkpoints",
        "DELETE FROM audit_prunings",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = '0001'",
        "SELECT weir_make_leaf('a', 'b', '{}')",
        "SET ROLE weir_owner",
    ],
)
async def test_service_may_not(log: Any, statement: str) -> None:
    with pytest.raises(LogStoreUnavailable, match="42501"):
        async with log.database.transaction() as connection:
            await connection.execute(text(statement))


async def test_service_makes_partitions_that_are_not_its_own(
    migrated_copy: str, open_log: OpenLog
) -> None:
    log = open_log(migrated_copy)
    month = datetime(2012, 1, 1, tzinfo=UTC)
    assert await make_partitions(log.database, month, 0) == ["prediction_logs_y2012m01"]
    owners = await log.rows(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename ~ 'y2012m01'"
    )
    assert owners == [{"tableowner": "weir_owner"}]


async def test_what_was_granted_by_hand_is_taken_back(
    migrated_copy: str, open_log: OpenLog
) -> None:
    log = open_log(migrated_copy)
    owner = database_url(as_role(migrated_copy, "weir_owner"))
    await log.execute(f"GRANT ALL ON audit_log TO {ROLE}")
    for _ in range(2):
        await upgrade(owner, wait=10, service_role=ROLE)
    granted = await log.rows(
        "SELECT privilege_type AS may FROM information_schema.role_table_grants "
        f"WHERE table_name = 'audit_log' AND grantee = '{ROLE}' ORDER BY 1"
    )
    assert [row["may"] for row in granted] == ["INSERT", "SELECT"]


async def test_role_that_is_missing_is_named(migrated_copy: str) -> None:
    owner = database_url(as_role(migrated_copy, "weir_owner"))
    with pytest.raises(RoleMissing, match='CREATE ROLE "Nobody; DROP"'):
        await upgrade(owner, wait=10, service_role="Nobody; DROP")


def test_migrate_command_grants(postgres_server: PostgresStore, tmp_path: Path) -> None:
    url = postgres_server.create_database(owner="weir_owner")
    for arguments, code, told in (
        (["--grant-to", "weir_by_command"], 1, "there is no role weir_by_command"),
        (["--grant-to", "weir_by_command", "--make-role"], 0, '"granted_to": "weir_by_command"'),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "prediction_log", "migrate", *arguments],
            cwd=tmp_path,
            env={"WEIR_DATABASE_URL": url},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == code, done.stdout
        assert told in done.stdout
