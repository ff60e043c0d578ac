"""What `verify` says of a trail that somebody changed behind the triggers' back."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from prediction_log.audit_chain import ChainHead, chained, head_of
from prediction_log.audit_checkpoints import CheckpointKeeper
from prediction_log.audit_findings import Fault
from prediction_log.audit_signing import load_signer, load_verifier
from prediction_log.audit_trail import AuditTrail
from prediction_log.audit_verification import MAX_FINDINGS, ChainWalk, Report
from prediction_log.key_making import AUDIT_PUBLIC_KEY, create_keys

SIZES = [1, 4, 2, 3]
"""Rows of the batches: sequences 1, 2–5, 6–7, 8–10."""


@pytest_asyncio.fixture
async def signed(trail: Any, audit_keys: tuple[Path, Path]) -> Any:
    """A trail of four batches with checkpoints at the second and the last."""
    keeper = CheckpointKeeper(
        trail.log.database, load_signer(audit_keys[0]), batches=1, interval=1e9
    )
    for number, size in enumerate(SIZES, 1):
        await trail.write(*(trail.record(target=f"t-{n}") for n in range(size)))
        if number in (2, 4):
            await keeper.look()
    return trail


def said(report: Report) -> list[tuple[Fault, str]]:
    return [(found.fault, found.where.partition(", id ")[0]) for found in report.findings]


async def test_whole_trail_is_intact(signed: Any, audit_keys: tuple[Path, Path]) -> None:
    report = await signed.verified(signatures=load_verifier([audit_keys[1]]))
    assert report.intact
    assert (report.rows, report.head.number) == (10, 4)
    assert (report.checkpoints, report.signed_up_to) == (2, 4)


async def test_empty_trail_is_intact(trail: Any) -> None:
    report = await trail.verified()
    assert (report.intact, report.rows) == (True, 0)


@pytest.mark.parametrize(
    "change",
    [
        "action = 'token.revoke'",
        "outcome = 'refused'",
        "client_id = NULL",
        "tenant = ''",
        "client_address = '198.51.100.8'",
        "request_id = NULL",
        "reason = 'x'",
        "target = 't-9'",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "recorded_at = recorded_at - interval '1 microsecond'",
        "id = gen_random_uuid()",
        "batch = 3",
    ],
)
async def test_altered_row_is_named(signed: Any, change: str) -> None:
    await signed.log.tamper(f"UPDATE audit_log SET {change} WHERE sequence = 4")
    ((fault, where),) = said(await signed.verified())
    assert (fault, where) == (Fault.ROW_ALTERED, "sequence 4 of batch 2")


async def test_removed_row_is_named(signed: Any) -> None:
    await signed.log.tamper("DELETE FROM audit_log WHERE sequence = 3")
    assert said(await signed.verified()) == [(Fault.ROW_REMOVED, "sequence 3 of batch 2")]


async def test_removed_row_whose_gap_was_closed_is_named(signed: Any) -> None:
    await signed.log.tamper(
        "DELETE FROM audit_log WHERE sequence = 3",
        "UPDATE audit_log SET sequence = sequence - 1 WHERE sequence = 4",
        "UPDATE audit_log SET sequence = sequence - 1 WHERE sequence = 5",
    )
    found = said(await signed.verified())
    assert found == [
        (Fault.ROW_MOVED, "sequence 3 of batch 2"),
        (Fault.ROW_MOVED, "sequence 4 of batch 2"),
        (Fault.ROW_REMOVED, "sequence 3 of batch 2"),
    ]


async def test_reordered_rows_are_named(signed: Any) -> None:
    await signed.log.tamper(
        "UPDATE audit_log SET sequence = -2 WHERE sequence = 2",
        "UPDATE audit_log SET sequence = 2 WHERE sequence = 5",
        "UPDATE audit_log SET sequence = 5 WHERE sequence = -2",
    )
    report = await signed.verified()
    assert said(report) == [
        (Fault.ROW_MOVED, "sequence 2 of batch 2"),
        (Fault.ROW_MOVED, "sequence 5 of batch 2"),
    ]
    assert report.findings[0].where.endswith("which was chained as sequence 5")


COPY = (
    "INSERT INTO audit_log (id, occurred_at, action, outcome, sequence, batch) "
    "SELECT gen_random_uuid(), occurred_at, 'forged', outcome, {}, batch "
    "FROM audit_log WHERE sequence = 4"
)


@pytest.mark.parametrize("place", ["NULL", "11", "-1"])
async def test_row_that_is_inserted_outside_of_the_batches_is_named(
    signed: Any, place: str
) -> None:
    await signed.log.tamper(COPY.format(place))
    ((fault, where),) = said(await signed.verified())
    assert fault is Fault.ROW_INSERTED
    assert where == ("no sequence" if place == "NULL" else f"sequence {place}")


async def test_row_that_is_inserted_between_others_is_named(signed: Any) -> None:
    await signed.log.tamper("DROP INDEX ix_audit_log_sequence", COPY.format("4"))
    found = said(await signed.verified())
    await signed.log.tamper(
        "DELETE FROM audit_log WHERE action = 'forged'",
        "CREATE UNIQUE INDEX ix_audit_log_sequence ON audit_log (sequence)",
    )
    assert found == [(Fault.ROW_INSERTED, "sequence 4 of batch 2")]


async def test_removed_batch_is_named(signed: Any) -> None:
    await signed.log.tamper(
        "DELETE FROM audit_log WHERE batch = 2", "DELETE FROM audit_batches WHERE number = 2"
    )
    assert said(await signed.verified()) == [(Fault.BATCH_REMOVED, "batch 2")]


async def test_batches_removed_without_their_rows_are_named(signed: Any) -> None:
    await signed.log.tamper("DELETE FROM audit_batches WHERE number IN (2, 3)")
    found = said(await signed.verified())
    assert found[0] == (Fault.BATCH_REMOVED, "batches 2 to 3")
    assert [fault for fault, _ in found[1:]] == [Fault.ROW_INSERTED] * 6


@pytest.mark.parametrize(
    "change",
    [
        "made_at = made_at + interval '1 second'",
        "sha256 = decode(repeat('00', 32), 'hex')",
        "row_count = 3",
        "previous_sha256 = decode(repeat('00', 32), 'hex')",
    ],
)
async def test_altered_batch_is_named(signed: Any, change: str) -> None:
    await signed.log.tamper(f"UPDATE audit_batches SET {change} WHERE number = 3")
    assert (Fault.BATCH_ALTERED, "batch 3") in said(await signed.verified())


async def remake(trail: Any, number: int, upto: int) -> None:
    """Alters a batch and makes it and those after it anew, as one who knows the code can."""
    await trail.log.tamper(f"UPDATE audit_log SET reason = 'remade' WHERE batch = {number}")
    stored = AuditTrail(trail.log.database)
    rows = await stored.rows((0, UUID(int=0)))
    head = ChainHead()
    async for batch, _ in stored.batches():
        if number <= batch.number <= upto:
            own = [row for row in rows if row.batch == batch.number]
            batch = chained(head, own, batch.made_at)
            await trail.log.tamper(
                f"UPDATE audit_batches SET row_sha256s = '\\x{batch.row_sha256s.hex()}', "
                f"previous_sha256 = '\\x{batch.previous_sha256.hex()}', "
                f"sha256 = '\\x{batch.sha256.hex()}' WHERE number = {batch.number}"
            )
        head = head_of(batch)


async def test_batch_made_anew_is_found_by_the_next_ones_link(signed: Any) -> None:
    await remake(signed, 3, upto=3)
    assert said(await signed.verified()) == [
        (Fault.CHAIN_REMADE, "batch 4 was chained to another batch 3")
    ]


async def test_chain_made_anew_to_its_end_is_found_by_the_checkpoints(signed: Any) -> None:
    before = (await signed.verified()).head.sha256
    await remake(signed, 1, upto=4)
    found = said(await signed.verified(expected_head=before))
    assert [fault for fault, _ in found] == [Fault.CHAIN_REMADE] * 2 + [Fault.TAIL_REMOVED]
    assert [where[:21] for _, where in found[:2]] == [
        "checkpoint of batch 2",
        "checkpoint of batch 4",
    ]


async def cut_tail(trail: Any) -> None:
    await trail.log.tamper(
        "DELETE FROM audit_log WHERE batch > 2", "DELETE FROM audit_batches WHERE number > 2"
    )


async def test_removed_tail_is_found_by_a_checkpoint(signed: Any) -> None:
    await cut_tail(signed)
    ((fault, where),) = said(await signed.verified())
    assert fault is Fault.TAIL_REMOVED
    assert where.startswith("checkpoint of batch 4")
    assert where.endswith("the chain ends at 2")


async def test_tail_removed_with_its_checkpoints_is_found_by_the_head_kept_elsewhere(
    signed: Any,
) -> None:
    head = (await signed.verified()).head.sha256
    await cut_tail(signed)
    await signed.log.tamper("DELETE FROM audit_checkpoints WHERE number > 2")
    assert (await signed.verified()).intact
    assert said(await signed.verified(expected_head=head)) == [
        (Fault.TAIL_REMOVED, "no batch has the expected head's hash")
    ]


async def test_head_kept_elsewhere_may_have_been_followed_by_others(signed: Any) -> None:
    head = (await signed.verified()).head.sha256
    await signed.write(signed.record())
    assert (await signed.verified(expected_head=head)).intact


@pytest.mark.parametrize(
    "change",
    [
        "signature = decode(repeat('00', 64), 'hex')",
        "signature = ''",
        "sha256 = decode(repeat('00', 32), 'hex')",
        "made_at = made_at + interval '1 second'",
    ],
)
async def test_bad_signature_is_named(
    signed: Any, audit_keys: tuple[Path, Path], change: str
) -> None:
    await signed.log.tamper(f"UPDATE audit_checkpoints SET {change} WHERE number = 2")
    keys = load_verifier([audit_keys[1]])
    ((fault, where),) = said(await signed.verified(signatures=keys))
    assert fault is Fault.SIGNATURE_BAD
    assert where.startswith("checkpoint of batch 2")


async def test_checkpoint_by_a_strangers_key_is_named(signed: Any, tmp_path: Path) -> None:
    create_keys(tmp_path / "other")
    keys = load_verifier([tmp_path / "other" / AUDIT_PUBLIC_KEY])
    found = said(await signed.verified(signatures=keys))
    assert [fault for fault, _ in found] == [Fault.KEY_UNKNOWN] * 2


async def test_findings_beyond_a_number_are_counted_only(trail: Any) -> None:
    await trail.write(*(trail.record() for _ in range(MAX_FINDINGS)))
    await trail.write(trail.record(), trail.record())
    await trail.log.tamper("DELETE FROM audit_log")
    report = await trail.verified()
    assert len(report.findings) == MAX_FINDINGS
    assert report.faults == MAX_FINDINGS + 2


async def test_trail_may_grow_while_it_is_walked(
    trail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prediction_log.audit_trail._BATCH_PAGE", 2)
    monkeypatch.setattr("prediction_log.audit_trail._ROW_PAGE", 3)
    for _ in range(4):
        await trail.write(trail.record(), trail.record())
    grown = 0

    class Growing(AuditTrail):
        async def rows(self, after: tuple[int, UUID]) -> Any:
            nonlocal grown
            page = await super().rows(after)
            if grown < 5:
                grown += 1
                await trail.write(trail.record())
            return page

    report = await ChainWalk(Growing(trail.log.database)).run()
    assert report.intact, report.findings
    assert report.rows == 13


def verify_command(url: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prediction_log", "verify-audit", *map(str, arguments)],
        env=os.environ | {"WEIR_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_command_tells_by_its_exit_code(
    signed: Any, audit_keys: tuple[Path, Path], tmp_path: Path
) -> None:
    head = (await signed.verified()).head.sha256.hex()
    key = ("--public-key", audit_keys[1])
    done = await asyncio.to_thread(verify_command, signed.log.url, *key, "--expect-head", head)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [
        "intact: 10 rows in 4 batches, 2 checkpoints, signed up to batch 4",
        f"head: {head}",
    ]
    await signed.log.tamper("DELETE FROM audit_log WHERE sequence = 7")
    done = await asyncio.to_thread(verify_command, signed.log.url)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [
        "row removed: sequence 7 of batch 3",
        "DAMAGED: 9 rows in 4 batches, 2 checkpoints, signatures not looked at: no --public-key",
    ]
    nowhere = f"postgresql://nobody@/weir?host={tmp_path}"
    assert (await asyncio.to_thread(verify_command, nowhere)).returncode == 2
    done = await asyncio.to_thread(verify_command, signed.log.url, "--public-key", audit_keys[0])
    assert done.returncode == 2
    assert "is no public key as PEM" in done.stdout
