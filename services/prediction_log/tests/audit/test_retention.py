"""The oldest part of the trail leaves, up to a signed checkpoint, and the rest can be verified."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from prediction_log import audit_retention
from prediction_log.audit_checkpoints import CheckpointKeeper
from prediction_log.audit_findings import Fault
from prediction_log.audit_retention import AuditRetention
from prediction_log.audit_signing import load_signer, load_verifier
from prediction_log.errors import AuditRetentionRefused, LogStoreUnavailable

DAYS = 40
NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=DAYS + 10)
BATCHES = 6
"""Of two rows each; the first four are over their time, and the third and the last are signed."""


@pytest_asyncio.fixture
async def aged(trail: Any, audit_keys: tuple[Path, Path]) -> Any:
    keeper = CheckpointKeeper(
        trail.log.database, load_signer(audit_keys[0]), batches=1, interval=1e9
    )
    for number in range(1, BATCHES + 1):
        moment = OLD + timedelta(days=number) if number <= 4 else NOW
        await trail.write_at(moment, trail.record(), trail.record())
        if number in (3, BATCHES):
            await keeper.look()
    return trail


@pytest.fixture
def retention(aged: Any, audit_keys: tuple[Path, Path]) -> AuditRetention:
    return AuditRetention(aged.log.database, load_signer(audit_keys[0]), DAYS)


async def first_batch(trail: Any) -> int:
    (row,) = await trail.log.rows("SELECT min(number) AS n FROM audit_batches")
    return int(row["n"])


async def test_what_is_old_leaves_up_to_the_checkpoint_and_the_rest_verifies(
    aged: Any, retention: AuditRetention, audit_keys: tuple[Path, Path]
) -> None:
    head = (await aged.verified()).head.sha256
    assert await retention.apply() == 3
    report = await aged.verified(signatures=load_verifier([audit_keys[1]]), expected_head=head)
    assert report.findings == []
    # The statement is on the trail itself.
    assert (report.rows, report.head.number) == (7, BATCHES + 1)
    assert report.pruning is not None
    assert (report.pruning.number, report.pruning.last_sequence) == (3, 6)
    (row,) = await aged.log.rows(
        "SELECT client_id, target FROM audit_log WHERE action = 'audit.prune'"
    )
    assert row == {"client_id": "prediction_log", "target": "batch 3"}
    assert await retention.apply() == 0


async def test_trail_is_signed_and_pruned_further(
    aged: Any, retention: AuditRetention, audit_keys: tuple[Path, Path]
) -> None:
    await retention.apply()
    signer = load_signer(audit_keys[0])
    keeper = CheckpointKeeper(aged.log.database, signer, batches=1, interval=1e9)
    await keeper.look()
    later = AuditRetention(
        aged.log.database, signer, DAYS, clock=lambda: NOW + timedelta(days=DAYS + 2)
    )
    with pytest.raises(LogStoreUnavailable, match="55000"):
        # By the database's own clock these are of today.
        await later.apply()
    report = await aged.verified(signatures=load_verifier([audit_keys[1]]))
    assert (report.intact, await first_batch(aged)) == (True, 4)


async def test_nothing_leaves_before_its_time(aged: Any, audit_keys: tuple[Path, Path]) -> None:
    young = AuditRetention(aged.log.database, load_signer(audit_keys[0]), DAYS + 30)
    assert await young.plan() is None
    assert await young.apply() == 0


async def test_nothing_leaves_that_no_checkpoint_covers(
    aged: Any, retention: AuditRetention
) -> None:
    await aged.log.tamper("DELETE FROM audit_checkpoints")
    with capture_logs() as logs:
        await retention.look()
        await retention.look()
    told = [line["reason"] for line in logs if line["event"] == "audit_retention_refused"]
    assert told == ["no signed checkpoint covers the rows"]
    assert await first_batch(aged) == 1


async def test_nothing_leaves_without_a_key(aged: Any) -> None:
    with pytest.raises(AuditRetentionRefused, match="no key"):
        await AuditRetention(aged.log.database, None, DAYS).apply()


async def test_what_is_damaged_stays(aged: Any, retention: AuditRetention) -> None:
    await aged.log.tamper("UPDATE audit_log SET reason = 'x' WHERE sequence = 2")
    with pytest.raises(AuditRetentionRefused, match="damaged"):
        await retention.apply()
    assert (await aged.verified()).faults == 1
    assert await first_batch(aged) == 1


async def test_killed_half_way_it_leaves_a_trail_that_verifies_and_is_finished_later(
    aged: Any,
    retention: AuditRetention,
    audit_keys: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = load_verifier([audit_keys[1]])
    monkeypatch.setattr(audit_retention, "_BATCHES_AT_ONCE", 1)
    segment = await retention.plan()
    assert segment is not None
    await retention._state(segment, load_signer(audit_keys[0]))
    for left in (1, 2, 3, 4):
        report = await aged.verified(signatures=keys)
        assert (report.findings, await first_batch(aged)) == ([], left)
        if left == 2:
            await aged.log.tamper("UPDATE audit_log SET reason = 'x' WHERE sequence = 3")
            assert (await aged.verified()).findings[0].fault is Fault.ROW_ALTERED
            await aged.log.tamper("UPDATE audit_log SET reason = NULL WHERE sequence = 3")
        await aged.log.rows("SELECT weir_prune_audit(1)")
    assert await retention.apply() == 0


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["UPDATE audit_log SET reason = 'x' WHERE sequence = 8"], Fault.ROW_ALTERED),
        (["DELETE FROM audit_log WHERE sequence = 7"], Fault.ROW_REMOVED),
        (
            [
                "DELETE FROM audit_log WHERE batch = 4",
                "DELETE FROM audit_batches WHERE number = 4",
            ],
            Fault.BATCH_REMOVED,
        ),
        (["DELETE FROM audit_prunings"], Fault.BATCH_REMOVED),
        (["UPDATE audit_prunings SET number = 4"], Fault.SIGNATURE_BAD),
        (["UPDATE audit_prunings SET recorded_before = now()"], Fault.SIGNATURE_BAD),
        (["UPDATE audit_prunings SET key_id = 'another'"], Fault.KEY_UNKNOWN),
        (
            [
                "INSERT INTO audit_log (id, occurred_at, action, outcome, sequence, batch) "
                "VALUES (gen_random_uuid(), now(), 'forged', 'allowed', 5, 3)"
            ],
            Fault.ROW_INSERTED,
        ),
    ],
)
async def test_tampering_is_named_after_pruning(
    aged: Any,
    retention: AuditRetention,
    audit_keys: tuple[Path, Path],
    statements: list[str],
    fault: Fault,
) -> None:
    await retention.apply()
    await aged.log.tamper(*statements)
    report = await aged.verified(signatures=load_verifier([audit_keys[1]]))
    assert fault in {finding.fault for finding in report.findings}


async def test_walk_that_meets_the_pruning_begins_again(
    aged: Any, retention: AuditRetention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prediction_log.audit_trail._BATCH_PAGE", 1)
    monkeypatch.setattr("prediction_log.audit_trail._ROW_PAGE", 1)
    reports = await asyncio.gather(aged.verified(), retention.apply(), aged.verified())
    assert reports[0].findings == reports[2].findings == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_log WHERE batch = 4",
        "DELETE FROM audit_batches WHERE number = 4",
        "DELETE FROM audit_checkpoints WHERE number = 3",
        "DELETE FROM audit_prunings",
        "TRUNCATE audit_log",
        "UPDATE audit_prunings SET number = 6",
    ],
)
async def test_owner_cannot_delete_what_no_statement_covers(
    aged: Any, retention: AuditRetention, statement: str
) -> None:
    await retention.apply()
    with pytest.raises(LogStoreUnavailable, match="42501"):
        await aged.log.execute(statement)


def test_command_shows_it_and_lets_it_go(
    aged: Any, audit_keys: tuple[Path, Path], tmp_path: Path
) -> None:
    def run(command: str, *arguments: str, key: Path | None = audit_keys[0]) -> tuple[int, str]:
        environment = os.environ | {"WEIR_DATABASE_URL": aged.log.url, "WEIR_AUDIT_DAYS": str(DAYS)}
        if key:
            environment["WEIR_AUDIT_SIGNING_KEY_FILE"] = str(key)
        done = subprocess.run(
            [sys.executable, "-m", "prediction_log", command, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return done.returncode, done.stdout

    assert run("retention", "--dry-run", key=None)[0] == 1
    code, told = run("retention", "--apply")
    assert (code, "up to batch 3, sequence 6" in told) == (0, True)
    code, told = run("verify-audit", "--public-key", str(audit_keys[1]))
    assert code == 0, told
    assert "verified from the checkpoint of batch 3 on" in told
