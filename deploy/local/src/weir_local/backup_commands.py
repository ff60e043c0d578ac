"""`backup` and `restore`, as their users meet them."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from weir_local.backup import Proven, make_backup, restore_backup
from weir_local.backup_file import BackupError, Manifest
from weir_local.database_facts import DatabaseUnreadable
from weir_local.home import HomeError, identity_directory
from weir_local.identity import audit_public_key
from weir_local.options import HomeOption
from weir_local.report import Report

_DAMAGED = 2
"""Exit code where it was done, and what it was done with is damaged."""


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; <home>/backups/<time>.weir by default.")
    ] = None,
    home: HomeOption = Path(".weir"),
) -> None:
    """Save the log's database into one file and prove it by restoring; the platform may run."""
    report = Report()
    os.umask(0o077)
    home = home.resolve()
    made = datetime.now(UTC)
    target = (file or home / "backups" / f"{made:%Y%m%dT%H%M%SZ}.weir").resolve()
    proven = _tried(report, home, lambda: make_backup(home, target, audit_public_key(home)))
    report.note(_described(target, proven.manifest))
    report.note(
        "No key is in it. Keep these, apart from the backup: without them texts stay encrypted "
        f"and clients must be made anew:\n  {identity_directory(home)}\n  {home / 'client.json'}"
    )
    if proven.damage:
        report.fail(f"saved as it is, but the audit trail is damaged:\n{proven.damage}")
        raise typer.Exit(_DAMAGED)


def restore(
    file: Annotated[Path, typer.Argument(help="What backup wrote.")],
    home: HomeOption = Path(".weir"),
    force: Annotated[
        bool, typer.Option("--force", help="Also where there is a database; it is put aside.")
    ] = False,
) -> None:
    """Make the log's database what a backup says; the platform must be stopped."""
    report = Report()
    os.umask(0o077)
    home = home.resolve()
    key = audit_public_key(home)
    proven = _tried(report, home, lambda: restore_backup(home, file.resolve(), key, force=force))
    report.note(f"restored from {file}: counts and audit trail are what was saved")
    if proven.aside is not None:
        report.note(f"the database that was there is in {proven.aside}")
    if proven.damage:
        report.fail(f"the audit trail is damaged, as it was when it was saved:\n{proven.damage}")
        raise typer.Exit(_DAMAGED)


def _tried(report: Report, home: Path, step: Callable[[], Proven]) -> Proven:
    """Does it, or ends the program with one line that says why not."""
    try:
        return step()
    except (BackupError, DatabaseUnreadable, HomeError, RuntimeError) as error:
        report.fail(str(error))
    except OSError as error:
        report.fail(f"{error.filename or home}: {error.strerror or error}")
    raise typer.Exit(1)


def _described(target: Path, manifest: Manifest) -> str:
    facts = manifest.facts
    size = target.stat().st_size / 1_000_000
    head = f"audit trail's head {facts.audit_head}" if facts.audit_head else "no audit trail yet"
    return (
        f"{target}: {facts.total} rows, {size:.1f} MB, schema {facts.revision}, {head}; "
        "restored into a fresh server to prove it"
    )
