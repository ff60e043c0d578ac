"""The audit trail: chained as it is written, closed to changes, signed now and then."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc

from prediction_log.audit_chain import BEGINNING, MAX_BATCH_ROWS
from prediction_log.audit_checkpoints import CheckpointKeeper
from prediction_log.audit_signing import AuditSigner, load_signer, load_verifier
from prediction_log.errors import LogStoreUnavailable, RejectedData
from prediction_log.event_decoding import decode_audit
from prediction_log.key_files import KeyFileInvalid
from prediction_log.key_making import PRIVATE_KEY, PUBLIC_KEY, create_keys
from servicekit.identifiers import new_id
from weir.events.v1 import events_pb2

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def signer(audit_keys: tuple[Path, Path]) -> AuditSigner:
    return load_signer(audit_keys[0])


async def test_rows_get_places_without_gaps_and_batches_hang_together(trail: Any, log: Any) -> None:
    for size in (1, 3, 2):
        assert await trail.write(*(trail.record() for _ in range(size))) == size
    batches = await log.rows("SELECT * FROM audit_batches ORDER BY number")
    spans = [(b["number"], b["first_sequence"], b["last_sequence"]) for b in batches]
    assert spans == [(1, 1, 1), (2, 2, 4), (3, 5, 6)]
    assert batches[0]["previous_sha256"] == BEGINNING
    for before, after in pairwise(batches):
        assert after["previous_sha256"] == before["sha256"]
    report = await trail.verified()
    assert (report.intact, report.rows, report.head.number) == (True, 6, 3)


async def test_replayed_events_stay_one_row_and_make_no_batch(trail: Any, log: Any) -> None:
    first, second = trail.record(), trail.record()
    assert await trail.write(second, first, first) == 2
    assert await trail.write(first, second) == 0
    third = trail.record()
    assert await trail.write(first, third, second) == 1
    assert await log.count("audit_log") == 3
    assert await log.count("audit_batches") == 2
    assert (await trail.verified()).intact


async def test_many_writers_share_one_chain(
    trail: Any, log: Any, open_log: Callable[..., Any]
) -> None:
    replicas = [log, open_log(log.url), open_log(log.url, statement_cache_size=0)]
    shared = [trail.record() for _ in range(5)]

    async def work(replica: Any) -> int:
        written = 0
        for round_ in range(8):
            written += await trail.write(
                shared[round_ % 5], trail.record(), trail.record(), log=replica
            )
        return written

    assert sum(await asyncio.gather(*map(work, replicas))) == 3 * 8 * 2 + 5
    report = await trail.verified()
    assert (report.intact, report.rows) == (True, 53)


async def test_batch_that_is_refused_leaves_nothing(trail: Any, log: Any) -> None:
    await trail.write(trail.record())
    for wrong in ({"action": "a" * 200}, {"client_id": "a\0b"}, {"tenant": "\ud800"}):
        with pytest.raises(RejectedData):
            await trail.write(trail.record(), trail.record(**wrong))
    assert await log.count("audit_log") == await log.count("audit_batches") == 1
    await trail.write(trail.record())
    assert (await trail.verified()).intact


async def test_many_rows_at_once_become_batches_that_fit_into_memory(trail: Any, log: Any) -> None:
    await trail.write(*(trail.record() for _ in range(MAX_BATCH_ROWS + 1)))
    sizes = await log.rows("SELECT row_count FROM audit_batches ORDER BY number")
    assert [size["row_count"] for size in sizes] == [MAX_BATCH_ROWS, 1]
    assert (await trail.verified()).intact


async def test_target_of_an_event_is_kept(log: Any, facts: Any) -> None:
    fact = events_pb2.AuditRecorded(
        event_id=str(new_id()),
        action="subject.erase",
        outcome=events_pb2.AUDIT_OUTCOME_ALLOWED,
        target="erasure-1",
    )
    fact.occurred_at.GetCurrentTime()
    await log.recorder(decode_audit).record(facts.events(fact))
    (row,) = await log.rows("SELECT target, sequence, batch FROM audit_log")
    assert row == {"target": "erasure-1", "sequence": 1, "batch": 1}


@pytest.mark.parametrize("table", ["audit_log", "audit_batches", "audit_checkpoints"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
async def test_nobody_changes_what_is_there(
    trail: Any, log: Any, signer: AuditSigner, table: str, change: str
) -> None:
    await trail.write(trail.record())
    await CheckpointKeeper(log.database, signer, batches=1, interval=1).look()
    column = {"audit_log": "sequence"}.get(table, "number")
    with pytest.raises(LogStoreUnavailable) as caught:
        await log.execute(change.format(table, column, column))
    assert isinstance(caught.value.__cause__, exc.DBAPIError)
    assert "append-only" in str(caught.value.__cause__)
    assert await log.count(table) == 1


async def test_row_without_a_place_in_the_chain_waits_outside(log: Any) -> None:
    with pytest.raises(LogStoreUnavailable):
        await log.execute(
            "INSERT INTO audit_log (id, occurred_at, action, outcome) "
            "VALUES (gen_random_uuid(), now(), 'token.issue', 'allowed')"
        )


async def test_checkpoint_is_signed_after_so_many_batches_or_so_long(
    trail: Any,
    log: Any,
    signer: AuditSigner,
    audit_keys: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    moment = NOW
    keeper = CheckpointKeeper(log.database, signer, batches=3, interval=60, clock=lambda: moment)

    async def signed() -> list[int]:
        await keeper.look()
        rows = await log.rows("SELECT number FROM audit_checkpoints ORDER BY number")
        return [row["number"] for row in rows]

    assert await signed() == []
    await trail.write(trail.record())
    assert await signed() == [1]
    await trail.write(trail.record())
    await trail.write(trail.record())
    assert await signed() == [1]
    await trail.write(trail.record())
    assert await signed() == [1, 4]
    await trail.write(trail.record())
    moment += timedelta(seconds=61)
    assert await signed() == [1, 4, 5]
    moment += timedelta(seconds=61)
    assert await signed() == [1, 4, 5]
    await trail.write(trail.record())
    await keeper.finish()
    assert await signed() == [1, 4, 5, 6]
    report = await trail.verified(signatures=load_verifier([audit_keys[1]]))
    assert (report.intact, report.signed_up_to, report.checkpoints) == (True, 6, 4)
    (head,) = await log.rows("SELECT sha256 FROM audit_batches WHERE number = 6")
    assert head["sha256"].hex() in capsys.readouterr().out


async def test_replicas_may_sign_the_same_batch(trail: Any, log: Any, signer: AuditSigner) -> None:
    await trail.write(trail.record())
    keepers = [CheckpointKeeper(log.database, signer, batches=1, interval=1) for _ in range(2)]
    await asyncio.gather(*(keeper.look() for keeper in keepers))
    assert await log.count("audit_checkpoints") == 1


async def test_end_that_does_not_follow_from_the_last_checkpoint_is_not_signed(
    trail: Any, log: Any, signer: AuditSigner, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = CheckpointKeeper(log.database, signer, batches=1, interval=1)
    for _ in range(3):
        await trail.write(trail.record())
        await keeper.look()
    # The last two are cut off with everything that speaks of them, and another one is added.
    await log.tamper(
        "DELETE FROM audit_log WHERE sequence > 1",
        "DELETE FROM audit_batches WHERE number > 1",
        "DELETE FROM audit_checkpoints WHERE number > 1",
    )
    for _ in range(3):
        await trail.write(trail.record())
    await keeper.look()
    await keeper.look()
    assert await log.count("audit_checkpoints") == 1
    assert capsys.readouterr().out.count("audit_chain_broken") == 1


async def test_checkpoints_wait_for_a_database_that_is_away(
    open_log: Callable[..., Any], tmp_path: Path, signer: AuditSigner
) -> None:
    away = open_log(f"postgresql://nobody@/weir?host={tmp_path}")
    keeper = CheckpointKeeper(away.database, signer, batches=1, interval=1)
    await keeper.look()
    await keeper.finish()


@pytest.mark.parametrize("load", [load_signer, lambda file: load_verifier([file])])
def test_file_that_holds_no_such_key_is_refused_and_not_repeated(
    tmp_path: Path, load: Callable[[Path], object]
) -> None:
    create_keys(tmp_path)
    garbage = tmp_path / "garbage"
    garbage.write_text("hunter2")
    for file in (garbage, tmp_path / PRIVATE_KEY, tmp_path / PUBLIC_KEY):
        with pytest.raises(KeyFileInvalid) as caught:
            load(file)
        assert str(file) in str(caught.value)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
