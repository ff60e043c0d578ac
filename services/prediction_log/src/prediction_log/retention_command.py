"""`retention`: shows what would go, or lets it go."""

import argparse
import sys
from collections.abc import Sequence

from prediction_log.audit_retention import AuditRetention, Segment
from prediction_log.audit_signing import load_signer
from prediction_log.database import command_database
from prediction_log.errors import AuditRetentionRefused, LogStoreUnavailable, QueryTooSlow
from prediction_log.key_files import KeyFileInvalid
from prediction_log.retention import Retention
from prediction_log.retention_plan import Expired
from prediction_log.retention_store import RetentionStore
from prediction_log.settings import RetentionSettings
from servicekit.startup import run_service

_STATEMENT_TIMEOUT = 60.0
_LEFT = 2


def add_retention_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Adds the command's arguments."""
    command = commands.add_parser(
        "retention",
        help="show, or drop, what was kept long enough: predictions and the audit trail",
        description="Predictions go by whole months, when the days of their retention class have "
        "passed since the end of the month; the audit trail goes by whole batches, up to a signed "
        "checkpoint. The service does it by itself; this shows what it would do, or does it now. "
        "Exit code 0: done; 1: it could not, or rows of the audit trail may not leave; 2: "
        "something is in use and stays for the next time.",
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument("--dry-run", action="store_true", help="only show; the default")
    choice.add_argument("--apply", action="store_true", help="drop and delete")
    command.set_defaults(run=run_retention)


def run_retention(arguments: argparse.Namespace) -> int:
    """Runs the command; returns the process's exit code."""
    left = 0

    async def run(settings: RetentionSettings) -> None:
        nonlocal left
        address = settings.database_url.get_secret_value()
        async with command_database(address, statement_timeout=_STATEMENT_TIMEOUT) as database:
            store = RetentionStore(database, settings.retention_batch)
            retention = Retention(store, settings.classes(), settings.dead_letter_days)
            key = settings.audit_signing_key_file
            audit = AuditRetention(database, load_signer(key) if key else None, settings.audit_days)
            sys.stdout.write(_described(await retention.plan()))
            if arguments.apply:
                left = await retention.apply()
            sys.stdout.write(_trail_described(await audit.plan()))
            if arguments.apply:
                await audit.apply()

    expected = (LogStoreUnavailable, QueryTooSlow, AuditRetentionRefused, KeyFileInvalid)
    failed = run_service("prediction_log", RetentionSettings, run, expected=expected)
    return failed or (_LEFT if left else 0)


def _described(plan: Sequence[Expired]) -> str:
    if not plan:
        return "No month of predictions is over its time.\n"
    lines = [
        f"{table.table}  ended {table.month_end:%Y-%m-%d}  about {table.rows} rows  "
        f"{table.size / 2**20:.1f} MiB"
        for table in plan
    ]
    return "\n".join(lines) + "\n"


def _trail_described(segment: Segment | None) -> str:
    if segment is None:
        return "No row of the audit trail is over its time.\n"
    last = segment.last
    return (
        f"audit trail  up to batch {last.number}, sequence {last.last_sequence}  "
        f"recorded before {segment.recorded_before:%Y-%m-%d}\n"
    )
