"""Whatever is done to a trail, whoever kept its last hash finds out; nothing else is reported."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from prediction_log.audit_chain import (
    AuditBatch,
    AuditCheckpoint,
    AuditPruning,
    AuditRow,
    ChainHead,
    chained,
    checkpoint_bytes,
    head_of,
    next_batch,
)
from prediction_log.audit_findings import Fault
from prediction_log.audit_verification import ChainWalk, Report
from prediction_log.domain import AuditRecord

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Trail:
    """What a database would hold: a trail that fits into memory."""

    stored_rows: list[AuditRow] = field(default_factory=list)
    stored_batches: list[AuditBatch] = field(default_factory=list)

    async def beginning(self) -> tuple[AuditPruning | None, int]:
        return None, min((batch.number for batch in self.stored_batches), default=0)

    async def batches(self) -> AsyncIterator[tuple[AuditBatch, Sequence[AuditCheckpoint]]]:
        for batch in sorted(self.stored_batches, key=lambda batch: batch.number):
            yield batch, []

    async def rows(self, after: tuple[int, UUID]) -> Sequence[AuditRow]:
        placed = [row for row in self.stored_rows if row.sequence is not None]
        following = [row for row in placed if (row.sequence, row.record.id) > after]
        return sorted(following, key=lambda row: (row.sequence, row.record.id))[:3]

    async def outside(self, limit: int) -> Sequence[AuditRow]:
        last = max((batch.last_sequence for batch in self.stored_batches), default=0)
        return [row for row in self.stored_rows if row.sequence is None or row.sequence > last][
            :limit
        ]

    async def checkpoints_beyond(self) -> Sequence[AuditCheckpoint]:
        return []

    def content(self) -> tuple[set[AuditRow], set[AuditBatch]]:
        return set(self.stored_rows), set(self.stored_batches)


def record(number: int, **changes: Any) -> AuditRecord:
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "occurred_at": NOON,
        "action": "token.issue",
        "outcome": "allowed",
        "client_id": None,
        "tenant": "",
        "client_address": "ab",
        "request_id": "c",
        "reason": None,
        "target": None,
    }
    return AuditRecord(**values | changes)


def trail_of(sizes: Sequence[int]) -> Trail:
    trail, head, number = Trail(), ChainHead(), 0
    for size in sizes:
        records = [record(number + at) for at in range(size)]
        batch, rows = next_batch(head, records, NOON + timedelta(seconds=number))
        trail.stored_rows += rows
        trail.stored_batches.append(batch)
        head, number = head_of(batch), number + size
    return trail


def verified(trail: Trail, expected_head: bytes) -> Report:
    return asyncio.run(ChainWalk(trail, expected_head=expected_head).run())


def alter_row(trail: Trail, draw: Callable[[int], int]) -> None:
    at = draw(len(trail.stored_rows))
    row = trail.stored_rows[at]
    name = ("client_id", "tenant", "client_address", "request_id", "reason", "target")[draw(6)]
    value = (None, "", "a", "ab", "c", "abc")[draw(6)]
    trail.stored_rows[at] = replace(row, record=replace(row.record, **{name: value}))


def remove_row(trail: Trail, draw: Callable[[int], int]) -> None:
    del trail.stored_rows[draw(len(trail.stored_rows))]


def swap_rows(trail: Trail, draw: Callable[[int], int]) -> None:
    one, other = draw(len(trail.stored_rows)), draw(len(trail.stored_rows))
    rows = trail.stored_rows
    rows[one], rows[other] = (
        replace(rows[one], sequence=rows[other].sequence, batch=rows[other].batch),
        replace(rows[other], sequence=rows[one].sequence, batch=rows[one].batch),
    )


def insert_row(trail: Trail, draw: Callable[[int], int]) -> None:
    place = (None, -1, 0, 1, 2, 3, 5, 100)[draw(8)]
    new = AuditRow(place, 1, record(1000 + len(trail.stored_rows)), NOON)
    trail.stored_rows.append(new)


def remove_batch(trail: Trail, draw: Callable[[int], int]) -> None:
    gone = trail.stored_batches.pop(draw(len(trail.stored_batches)))
    if draw(2):
        trail.stored_rows[:] = [row for row in trail.stored_rows if row.batch != gone.number]


def alter_batch(trail: Trail, draw: Callable[[int], int]) -> None:
    at = draw(len(trail.stored_batches))
    batch = trail.stored_batches[at]
    name = ("number", "first_sequence", "last_sequence", "row_count")[draw(4)]
    taken = {each.number for each in trail.stored_batches}
    changed = replace(batch, **{name: getattr(batch, name) + draw(5) - 2})
    if changed.number == batch.number or changed.number not in taken:
        trail.stored_batches[at] = changed


def remake_chain(trail: Trail, draw: Callable[[int], int]) -> None:
    """Hashes everything anew from the rows as they are, up to some batch."""
    head = ChainHead()
    for at in range(draw(len(trail.stored_batches) + 1)):
        batch = trail.stored_batches[at]
        rows = [row for row in trail.stored_rows if row.batch == batch.number]
        remade = chained(head, rows, batch.made_at)
        trail.stored_batches[at] = remade
        head = head_of(remade)


TAMPERINGS = [
    alter_row,
    remove_row,
    swap_rows,
    insert_row,
    remove_batch,
    alter_batch,
    remake_chain,
]


@settings(max_examples=400, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    tamperings=st.lists(st.sampled_from(TAMPERINGS), max_size=4),
    data=st.data(),
)
def test_every_change_is_noticed_and_nothing_else(
    sizes: list[int],
    tamperings: list[Callable[[Trail, Callable[[int], int]], None]],
    data: st.DataObject,
) -> None:
    trail = trail_of(sizes)
    head = trail.stored_batches[-1].sha256
    whole = trail.content()
    for tamper in tamperings:
        if trail.stored_rows and trail.stored_batches:
            tamper(trail, lambda below: data.draw(st.integers(0, below - 1)))
    report = verified(trail, head)
    assert report.intact is (trail.content() == whole), report.findings


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), data=st.data())
def test_removed_row_is_named_wherever_it_was(sizes: list[int], data: st.DataObject) -> None:
    trail = trail_of(sizes)
    head = trail.stored_batches[-1].sha256
    gone = trail.stored_rows.pop(data.draw(st.integers(0, len(trail.stored_rows) - 1)))
    (finding,) = verified(trail, head).findings
    assert finding.fault is Fault.ROW_REMOVED
    assert finding.where == f"sequence {gone.sequence} of batch {gone.batch}"


@given(st.lists(st.none() | st.text(max_size=3), min_size=12, max_size=12))
def test_rows_that_say_different_things_have_different_hashes(
    texts: list[str | None],
) -> None:
    names = ("client_id", "tenant", "client_address", "request_id", "reason", "target")
    one, other = (
        record(1, **dict(zip(names, half, strict=True))) for half in (texts[:6], texts[6:])
    )
    same = AuditRow(1, 1, one, NOON).sha256() == AuditRow(2, 3, other, NOON).sha256()
    assert same is (one == other)


def test_encoding_stays_what_it_is() -> None:
    batch, (row, _) = next_batch(ChainHead(), [record(1), record(2)], NOON)
    assert row.sha256().hex() == "0eec3d6c233aeb9b8f1cc3e3c447c89f7f355ad2fb2a4ba19de49ab70e960736"
    assert batch.sha256.hex() == "62803b705a82c4a42895c4471f391a6a4e5315e461ddec4d1e7c410067210d86"
    signed = checkpoint_bytes(1, batch.sha256, NOON)
    assert (
        hashlib.sha256(signed).hexdigest()
        == "4376c594a4c9fd28c5871f26071c2e2a99533f323c6f85b0abc53471820a2db8"
    )
