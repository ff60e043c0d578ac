"""Makes a backup of the log's database, and restores one: each is checked before it counts."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

from weir_local.backup_file import BackupError, Manifest, pack, read_manifest, unpack
from weir_local.database_facts import (
    DatabaseFacts,
    DatabaseUnreadable,
    make_roles,
    read_facts,
    snapshot,
)
from weir_local.embedded_postgres import SOCKET_NAME, client_program, postgres_url
from weir_local.home import Home, HomeError, locked_home, socket_directory_of
from weir_local.process import run_to_end
from weir_local.processes import end_leftovers
from weir_local.scratch_server import scratch_server, server_of

_CONNECTION = ("--username=postgres", "--dbname=postgres", "--no-password")


@dataclass(frozen=True)
class Proven:
    """What was saved or restored, and what is wrong with it all the same."""

    manifest: Manifest
    damage: str
    """What is wrong with the audit trail, which is no worse than it was; empty when nothing is."""
    aside: Path | None = None
    """Where the database is that was there before."""


def make_backup(home: Path, file: Path, audit_key: Path) -> Proven:
    """Writes a backup to `file`, which appears when it is whole and proven, and not before.

    The platform may run meanwhile.

    Args:
        audit_key: the public key that checkpoints of the audit trail are signed with; one that is
            not there is not asked for.

    Raises:
        BackupError: there is no database, or the backup is not what it should be.
        DatabaseUnreadable: the database does not answer.
        OSError: a file cannot be written.
        RuntimeError: a server does not start.
    """
    if file.exists():
        raise BackupError(f"{file} is there already")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _unfinished(file) as directory:
        whole = directory / "backup"
        with _running_server(home) as sockets:
            facts = asyncio.run(_dump(sockets, directory / "dump"))
        manifest = pack(whole, directory / "dump", facts, datetime.now(UTC))
        (directory / "dump").unlink()
        with scratch_server(home) as sockets:
            damage = restore_into(sockets, whole, directory / "dump", audit_key)
        _keep(whole, file)
    return Proven(manifest, damage)


def restore_backup(home: Path, file: Path, audit_key: Path, *, force: bool) -> Proven:
    """Makes the platform's database what the backup says.

    The old database stays as it is until the restored one is proven, and beside it afterwards.

    Raises:
        BackupError: the backup is damaged; or `force` is not set, and the database holds something
            or the audit trail in the backup is damaged.
        HomeError: the platform runs.
        OSError: a file cannot be written.
        RuntimeError: a server does not start.
    """
    manifest = read_manifest(file)
    with locked_home(home) as locked:
        end_leftovers(locked.processes_file)
        if not force and (held := _what_it_holds(locked)):
            raise BackupError(f"the database in {locked.path} holds {held}: --force puts it aside")
        restoring = locked.postgres.with_name("postgres.restoring")
        shutil.rmtree(restoring, ignore_errors=True)
        try:
            with _unfinished(restoring) as directory, server_of(restoring) as sockets:
                damage = restore_into(sockets, file, directory / "dump", audit_key)
            if damage and not force:
                raise BackupError(f"{damage}\n--force restores it all the same")
        except BaseException:
            shutil.rmtree(restoring, ignore_errors=True)
            raise
        aside = _put_aside(locked.postgres)
        restoring.rename(locked.postgres)
    return Proven(manifest, damage, aside)


def restore_into(sockets: Path, file: Path, dump: Path, audit_key: Path) -> str:
    """Restores a backup into an empty database and proves that it is what was saved.

    Returns what is wrong with its audit trail; a damaged one is better saved than lost.

    Args:
        dump: where the dump may lie meanwhile.

    Raises:
        BackupError: the backup is damaged, or not what its manifest says.
    """
    manifest = unpack(file, dump)
    asyncio.run(make_roles(sockets, manifest.facts.roles))
    _program(
        "pg_restore",
        *("--exit-on-error", "--single-transaction", "--no-owner"),
        *(f"--host={sockets}", *_CONNECTION, str(dump)),
    )
    dump.unlink()
    if found := manifest.facts.differences(asyncio.run(read_facts(sockets))):
        raise BackupError(f"the restored database differs: {'; '.join(found)}")
    if (migration := _log_command(sockets, "migrate")).returncode != 0:
        raise BackupError(f"it cannot be migrated: {migration.stdout.strip()}")
    if manifest.facts.audit_head is None:
        return ""
    keys = ("--public-key", str(audit_key)) if audit_key.exists() else ()
    head = ("--expect-head", manifest.facts.audit_head)
    verified = _log_command(sockets, "verify-audit", *head, *keys)
    if verified.returncode not in (0, 1):
        raise BackupError(f"its audit trail cannot be verified: {verified.stdout.strip()}")
    return verified.stdout.strip() if verified.returncode else ""


async def _dump(sockets: Path, dump: Path) -> DatabaseFacts:
    async with snapshot(sockets) as (name, facts):
        if facts.revision is None:
            raise BackupError("the database was never migrated: there is nothing to save")
        await asyncio.to_thread(
            _program,
            "pg_dump",
            *("--format=custom", "--no-owner", f"--snapshot={name}", f"--file={dump}"),
            *(f"--host={sockets}", *_CONNECTION),
        )
    return facts


@contextmanager
def _running_server(home: Path) -> Iterator[Path]:
    """The sockets of the platform's server, which is started where the platform does not run."""
    if not (home / "postgres").exists():
        raise BackupError(f"there is no database in {home}")
    try:
        with locked_home(home) as locked, server_of(locked.postgres) as sockets:
            yield sockets
    except HomeError:
        sockets = socket_directory_of(home) / "postgres"
        if not (sockets / SOCKET_NAME).exists():
            raise BackupError(f"the platform in {home} has no PostgreSQL yet: try again") from None
        yield sockets


def _what_it_holds(home: Home) -> str:
    """What somebody would miss; empty when nothing."""
    if not home.postgres.exists():
        return ""
    try:
        with server_of(home.postgres) as sockets:
            rows = asyncio.run(read_facts(sockets)).total
    except (RuntimeError, DatabaseUnreadable):
        return "something that cannot be read"
    return f"{rows} rows" if rows else ""


def _put_aside(data: Path) -> Path | None:
    if not data.exists():
        return None
    aside = data.with_name(f"postgres.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    data.rename(aside)
    return aside


def _keep(whole: Path, file: Path) -> None:
    """Lets the file appear, never in another's place."""
    with whole.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(whole, file)
    except FileExistsError:
        raise BackupError(f"{file} is there already") from None
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _unfinished(file: Path) -> Iterator[Path]:
    """A hidden directory beside a file, on the same disk; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as directory:
        yield Path(directory)


def _program(name: str, *arguments: str) -> None:
    done = run_to_end([str(client_program(name)), *arguments])
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise BackupError(lines[0] if lines else f"{name} ended with {done.returncode}")


def _log_command(sockets: Path, *arguments: str) -> CompletedProcess[str]:
    """Runs a command of the prediction log on the restored database."""
    return run_to_end(
        [sys.executable, "-P", "-m", "prediction_log", *arguments],
        environment={"WEIR_DATABASE_URL": postgres_url(sockets)},
    )
