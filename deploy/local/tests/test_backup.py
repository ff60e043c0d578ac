"""Saving and restoring a real database with the real commands."""

import asyncio
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from weir_local.backup import make_backup, restore_backup
from weir_local.backup_file import BackupError, read_manifest, unpack
from weir_local.database_facts import DatabaseFacts, read_facts
from weir_local.embedded_postgres import postgres_url
from weir_local.home import HomeError, locked_home
from weir_local.process import run_to_end
from weir_local.scratch_server import server_of

DEAD_LETTERS = 300
FILL = """
INSERT INTO dead_letters (stream, entry_id, type_name, data, reason)
SELECT 'weir:predictions:0', n || '-0', 'type', 'data', 'reason'
FROM generate_series(1, 300) AS n
"""
AUDIT = """
import asyncio, os
from datetime import UTC, datetime
from prediction_log.database import Database, database_url
from prediction_log.domain import AuditRecord
from prediction_log.record_store import RecordStore, record_writers
from servicekit.identifiers import new_id

async def main():
    database = Database(
        database_url(os.environ["WEIR_DATABASE_URL"]), pool_size=1, pool_timeout=9,
        connect_timeout=9, statement_timeout=9, statement_cache_size=0,
    )
    store = RecordStore(database, record_writers())
    for _ in range(3):
        now = datetime.now(UTC)
        await store.insert([
            AuditRecord(new_id(), now, "token.issue", "allowed", *[None] * 6) for _ in range(4)
        ])
    await database.close()

asyncio.run(main())
"""


def run_python(sockets: Path, *arguments: str) -> None:
    done = run_to_end(
        [sys.executable, *arguments], environment={"WEIR_DATABASE_URL": postgres_url(sockets)}
    )
    assert done.returncode == 0, done.stdout + done.stderr


def execute(sockets: Path, statement: str, user: str = "postgres") -> None:
    async def run() -> None:
        connection = await asyncpg.connect(user=user, database="postgres", host=str(sockets))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def change(home: Path, statement: str) -> None:
    with locked_home(home) as locked, server_of(locked.postgres, durable=False) as sockets:
        execute(sockets, statement)


def facts_of(home: Path, reader: str = "postgres") -> DatabaseFacts:
    with server_of(home / "postgres", durable=False) as sockets:
        execute(sockets, "SELECT FROM audit_log", reader)
        return asyncio.run(read_facts(sockets))


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a stopped platform with rows and an audit trail of three batches."""
    home = tmp_path_factory.mktemp("filled") / "home"
    with locked_home(home) as locked, server_of(locked.postgres, durable=False) as sockets:
        run_python(sockets, "-m", "prediction_log", "migrate")
        run_python(sockets, "-c", AUDIT)
        execute(sockets, FILL)
        execute(sockets, "CREATE ROLE weir_reader LOGIN; GRANT SELECT ON audit_log TO weir_reader")
    run_to_end(
        [
            sys.executable,
            "-m",
            "prediction_log",
            "create-keys",
            f"--directory={home}/identity/log-keys",
        ]
    )
    return home


@pytest.fixture(scope="session")
def backup(
    filled_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> subprocess.CompletedProcess[str]:
    """What the command said when it made the file that `saved` is."""
    file = tmp_path_factory.mktemp("saved") / "log.weir"
    return weir_local(filled_home, "backup", str(file))


@pytest.fixture
def saved(backup: subprocess.CompletedProcess[str]) -> Path:
    assert backup.returncode == 0, backup.stderr
    return Path(backup.stdout.partition(": ")[0])


@pytest.fixture
def home(tmp_path: Path, filled_home: Path) -> Path:
    """A copy that a test may change."""
    subprocess.run(["cp", "-a", filled_home, tmp_path / "home"], check=True)
    return tmp_path / "home"


def weir_local(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_to_end(
        [sys.executable, "-m", "weir_local", *arguments], environment={"WEIR_HOME": str(home)}
    )


def can_be_locked(home: Path) -> bool:
    try:
        with locked_home(home):
            return True
    except HomeError:
        return False


def leftovers(home: Path) -> list[str]:
    return [path.name for path in home.iterdir() if path.name.startswith((".", "postgres."))]


def test_backup_says_what_is_in_it_and_what_is_not(
    backup: subprocess.CompletedProcess[str], saved: Path, filled_home: Path
) -> None:
    assert "No key is in it. Keep these, apart from the backup" in backup.stdout
    assert str(filled_home / "identity") in backup.stdout
    with tarfile.open(saved) as tar:
        assert tar.getnames() == ["manifest.json", "database.dump"]
    facts = read_manifest(saved).facts
    assert facts.rows["dead_letters"] == DEAD_LETTERS
    assert (facts.rows["audit_log"], facts.audit_batches) == (12, 3)
    assert saved.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in saved.parent.iterdir()] == ["log.weir"]
    assert not leftovers(filled_home)


def test_database_is_put_aside_for_what_was_saved_only_when_told(saved: Path, home: Path) -> None:
    change(home, "DELETE FROM dead_letters")
    done = weir_local(home, "restore", str(saved))
    assert done.returncode == 1
    assert "rows: --force puts it aside" in done.stderr
    done = weir_local(home, "restore", str(saved), "--force")
    assert done.returncode == 0, done.stderr
    assert facts_of(home, "weir_reader") == read_manifest(saved).facts
    (aside,) = leftovers(home)
    assert f"the database that was there is in {home / aside}" in done.stdout
    assert (home / aside / "PG_VERSION").exists()


def test_damaged_backup_changes_nothing(saved: Path, home: Path, tmp_path: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.weir"
    damaged.write_bytes(content)
    done = weir_local(home, "restore", str(damaged), "--force")
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert not leftovers(home)
    assert facts_of(home).rows["audit_log"] == 12


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_backup_that_was_cut_off_is_refused(saved: Path, tmp_path: Path, keep: int) -> None:
    cut = tmp_path / "cut.weir"
    cut.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(BackupError, match=r"is no backup|is damaged"):
        unpack(cut, tmp_path / "dump")


def test_altered_manifest_does_not_match_what_is_restored(saved: Path, tmp_path: Path) -> None:
    with tarfile.open(saved) as tar:
        tar.extractall(tmp_path, filter="data")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["rows"]["dead_letters"] += 1
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    altered = tmp_path / "altered.weir"
    with tarfile.open(altered, "w") as tar:
        for name in ("manifest.json", "database.dump"):
            tar.add(tmp_path / name, name)
    done = weir_local(tmp_path / "new", "restore", str(altered))
    assert done.returncode == 1
    assert "dead_letters has 300 rows instead of 301" in done.stderr
    assert not (tmp_path / "new" / "postgres").exists()


def test_damaged_audit_trail_is_saved_and_told(home: Path, tmp_path: Path) -> None:
    change(
        home,
        "SET session_replication_role = replica; DELETE FROM audit_log WHERE sequence = 6",
    )
    file = tmp_path / "log.weir"
    done = weir_local(home, "backup", str(file))
    assert done.returncode == 2
    assert "row removed: sequence 6 of batch 2" in done.stderr
    assert file.exists()


def test_backup_of_a_damaged_audit_trail_is_restored_only_when_told(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weir_local.backup.restore_into", lambda *_: "row removed: sequence 6")
    home, key = tmp_path / "new", tmp_path / "no-key"
    with pytest.raises(BackupError, match="sequence 6\\n--force restores it all the same"):
        restore_backup(home, saved, key, force=False)
    assert not (home / "postgres").exists()
    assert not leftovers(home)
    assert restore_backup(home, saved, key, force=True).damage == "row removed: sequence 6"
    assert (home / "postgres" / "PG_VERSION").exists()


def test_backup_never_takes_anothers_place(filled_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.weir"
    file.write_text("precious")
    done = weir_local(filled_home, "backup", str(file))
    assert (done.returncode, done.stderr) == (1, f"weir: {file} is there already\n")
    assert file.read_text() == "precious"


def test_home_without_a_database_is_said_in_one_line(tmp_path: Path) -> None:
    done = weir_local(tmp_path, "backup")
    assert (done.returncode, done.stderr) == (1, f"weir: there is no database in {tmp_path}\n")


def test_full_disk_is_said_and_leaves_nothing(
    filled_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(
        "#!/bin/sh\n"
        'for each; do case "$each" in --file=*) echo half > "${each#--file=}";; esac; done\n'
        "echo 'pg_dump: error: could not write: No space left on device' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr("weir_local.backup.client_program", lambda name: tmp_path / name)
    (tmp_path / "out").mkdir()
    with pytest.raises(BackupError, match="No space left on device"):
        make_backup(filled_home, tmp_path / "out" / "log.weir", tmp_path / "no-key")
    assert list((tmp_path / "out").iterdir()) == []


def test_killed_backup_leaves_no_file_and_no_obstacle(
    home: Path, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "weir_local", "backup", str(out / "log.weir")]
    process = subprocess.Popen(
        [*command, "--home", str(home)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    eventually(lambda: list(out.iterdir()))
    process.kill()
    process.wait()
    assert not (out / "log.weir").exists()
    # Its server ends with it, in its own time.
    eventually(lambda: not (home / "postgres" / "postmaster.pid").exists())
    # And what it was about to start when it ended may hold the lock for as long as that takes.
    eventually(lambda: can_be_locked(home))
