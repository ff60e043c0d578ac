"""`verify-audit`: what an auditor runs."""

import argparse
import sys
import time
from pathlib import Path

from prediction_log.audit_signing import load_verifier
from prediction_log.audit_trail import AuditTrail
from prediction_log.audit_verification import ChainWalk, Report
from prediction_log.database import command_database
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.key_files import KeyFileInvalid
from prediction_log.settings import DatabaseSettings
from servicekit.startup import run_service

_STATEMENT_TIMEOUT = 60.0
_TELL_EVERY = 5.0
_BROKEN, _NOT_DONE = 1, 2


def add_audit_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the commands' arguments."""
    verify = commands.add_parser(
        "verify-audit",
        help="walk the audit trail's hash chain and name what is wrong",
        description="Exit code 0: intact; 1: damaged, with the damage named; 2: not verified.",
    )
    verify.add_argument(
        "--public-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="PEM of a key that may have signed checkpoints; may be given more than once; "
        "without it signatures are not looked at",
    )
    verify.add_argument(
        "--expect-head",
        type=_sha256,
        metavar="HASH",
        help="SHA-256 of a batch that was once the last, from a checkpoint's log event or a "
        "backup: it must still be in the chain",
    )
    verify.set_defaults(run=verify_audit)


def verify_audit(arguments: argparse.Namespace) -> int:
    """Verifies the whole trail; returns the exit code."""
    reports: list[Report] = []

    async def verify(settings: DatabaseSettings) -> None:
        signatures = load_verifier(arguments.public_key) if arguments.public_key else None
        address = settings.database_url.get_secret_value()
        async with command_database(address, statement_timeout=_STATEMENT_TIMEOUT) as database:
            walk = ChainWalk(
                AuditTrail(database),
                signatures=signatures,
                expected_head=arguments.expect_head,
                progress=_Progress().tell,
            )
            reports.append(await walk.run())

    expected = (KeyFileInvalid, LogStoreUnavailable, QueryTooSlow)
    if run_service("prediction_log", DatabaseSettings, verify, expected=expected) or not reports:
        return _NOT_DONE
    (report,) = reports
    sys.stdout.write(_described(report, signatures=bool(arguments.public_key)))
    return 0 if report.intact else _BROKEN


class _Progress:
    """Says now and then how far it has come."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _TELL_EVERY

    def tell(self, report: Report) -> None:
        if time.monotonic() >= self._next:
            sys.stderr.write(f"… {report.rows} rows, {report.head.number} batches\n")
            self._next = time.monotonic() + _TELL_EVERY


def _described(report: Report, *, signatures: bool) -> str:
    lines = [str(finding) for finding in report.findings]
    if report.faults > len(report.findings):
        lines.append(f"and {report.faults - len(report.findings)} more")
    signed = (
        f"signed up to batch {report.signed_up_to}"
        if signatures
        else "signatures not looked at: no --public-key"
    )
    if (gone := report.pruning) is not None:
        lines.append(
            f"verified from the checkpoint of batch {gone.number} on: sequences up to "
            f"{gone.last_sequence}, recorded before {gone.recorded_before:%Y-%m-%d}, left by "
            f"retention on {gone.made_at:%Y-%m-%d}"
        )
    lines += [
        f"{'intact' if report.intact else 'DAMAGED'}: {report.rows} rows in "
        f"{report.head.number} batches, {report.checkpoints} checkpoints, {signed}",
        f"head: {report.head.sha256.hex()}",
    ]
    return "\n".join(lines) + "\n"


def _sha256(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise argparse.ArgumentTypeError("is no SHA-256 in hex")
    return digest
