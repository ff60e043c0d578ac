"""Walks the audit trail's chain from where it begins and names what is wrong."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from prediction_log.audit_chain import (
    LOWEST,
    AuditBatch,
    AuditCheckpoint,
    AuditPruning,
    AuditRow,
    ChainHead,
    head_of,
)
from prediction_log.audit_findings import Fault, Finding, compare_rows, consistent

MAX_FINDINGS = 1000
"""Findings that are kept; more are counted."""
_WALKS = 5
"""Walks that are begun again because rows left by their age meanwhile."""


class Signatures(Protocol):
    """Knows the keys that checkpoints may be signed with."""

    def knows(self, key_id: str) -> bool:
        """Whether the key is one of them."""
        ...

    def good(self, signed: AuditCheckpoint | AuditPruning) -> bool:
        """Whether the key that it names made the signature."""
        ...


class TrailReader(Protocol):
    """Reads the trail in pages, in order."""

    async def beginning(self) -> tuple[AuditPruning | None, int]:
        """What was said last about what has left, and the number of the oldest batch; 0: none."""
        ...

    def batches(self) -> AsyncIterator[tuple[AuditBatch, Sequence[AuditCheckpoint]]]:
        """Every batch with the checkpoints at it."""
        ...

    async def rows(self, after: tuple[int, UUID]) -> Sequence[AuditRow]:
        """The next rows that have a place, by place and id; none when there are no more."""
        ...

    async def outside(self, limit: int) -> Sequence[AuditRow]:
        """Rows without a place, or with one behind the last batch's."""
        ...

    async def checkpoints_beyond(self) -> Sequence[AuditCheckpoint]:
        """Checkpoints at batches that are not there, newest first; the first few."""
        ...


@dataclass
class Report:
    """What a walk found."""

    head: ChainHead = field(default_factory=ChainHead)
    pruning: AuditPruning | None = None
    """Up to where the trail has left by its age: the batches behind that could be verified."""
    rows: int = 0
    checkpoints: int = 0
    signed_up_to: int = 0
    """The last batch whose checkpoint's signature was found good."""
    findings: list[Finding] = field(default_factory=list)
    faults: int = 0

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.faults == 0

    def add(self, fault: Fault, where: str) -> None:
        """Keeps a finding, as long as there are not too many."""
        self.take(Finding(fault, where))

    def take(self, finding: Finding) -> None:
        """Keeps a finding, as long as there are not too many."""
        self.faults += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


class ChainWalk:
    """One verification of the whole trail, in memory that does not grow with it.

    Args:
        signatures: None looks at no signature.
        expected_head: hash of a batch that was the last one at some time, as somebody wrote it down
            outside of the database.
        progress: called after each batch.
    """

    def __init__(
        self,
        reader: TrailReader,
        *,
        signatures: Signatures | None = None,
        expected_head: bytes | None = None,
        progress: Callable[[Report], None] = lambda _: None,
    ) -> None:
        self._reader = reader
        self._signatures = signatures
        self._expected = expected_head
        self._progress = progress
        self._start(None)

    def _start(self, pruning: AuditPruning | None) -> None:
        self._report = Report(pruning=pruning)
        if pruning is not None:
            place = (pruning.number, pruning.last_sequence, pruning.sha256)
            self._report.head = ChainHead(*place)
        self._expected_seen = self._expected in (None, self._report.head.sha256)
        self._read: deque[AuditRow] = deque()
        self._after = (LOWEST, UUID(int=0))

    async def run(self) -> Report:
        """Walks; again where rows left meanwhile, which would look as if they had been removed."""
        beginning = await self._reader.beginning()
        for _ in range(_WALKS):
            self._start(beginning[0])
            await self._walk(oldest=beginning[1])
            before, beginning = beginning, await self._reader.beginning()
            if self._report.intact or beginning == before:
                break
        return self._report

    async def _walk(self, oldest: int) -> None:
        report = self._report
        if report.pruning is not None:
            self._look_at_pruning(report.pruning)
        async for batch, checkpoints in self._reader.batches():
            if report.pruning and batch.number == oldest <= report.pruning.number:
                # It may leave and has not yet; the chain from it on still ends as was signed.
                report.head = ChainHead(oldest - 1, batch.first_sequence - 1, batch.previous_sha256)
            self._follow(batch)
            for finding in compare_rows(batch, await self._rows_of(batch)):
                report.take(finding)
            for checkpoint in checkpoints:
                self._look_at(checkpoint, batch)
            self._expected_seen |= batch.sha256 == self._expected
            report.head = head_of(batch)
            self._progress(report)
        await self._look_behind_the_end()

    def _follow(self, batch: AuditBatch) -> None:
        """Whether the batch is the next one."""
        report, head = self._report, self._report.head
        if batch.number < 1:
            report.add(Fault.BATCH_INSERTED, f"batch {batch.number}")
        elif batch.number != head.number + 1:
            report.add(Fault.BATCH_REMOVED, _span(head.number + 1, batch.number - 1))
        elif batch.previous_sha256 != head.sha256:
            remade = f"batch {batch.number} was chained to another batch {head.number}"
            report.add(Fault.CHAIN_REMADE, remade)
        elif batch.first_sequence != head.last_sequence + 1:
            report.add(Fault.BATCH_ALTERED, f"batch {batch.number}: its first sequence")
        if not consistent(batch):
            report.add(Fault.BATCH_ALTERED, f"batch {batch.number}")
        pruning = report.pruning
        if pruning and pruning.number == batch.number and pruning.sha256 != batch.sha256:
            report.add(Fault.CHAIN_REMADE, f"{_named(pruning)} is of another batch {batch.number}")

    async def _rows_of(self, batch: AuditBatch) -> list[AuditRow]:
        """The batch's rows; those before it, which no batch has, are reported."""
        own = []
        async for row in self._rows_up_to(batch.last_sequence):
            if _place(row) < batch.first_sequence:
                self._stray(row)
            else:
                own.append(row)
        self._report.rows += len(own)
        return own

    async def _rows_up_to(self, last: int) -> AsyncIterator[AuditRow]:
        while True:
            if not self._read:
                self._read.extend(await self._reader.rows(self._after))
            if not self._read or _place(self._read[0]) > last:
                return
            row = self._read.popleft()
            self._after = (_place(row), row.record.id)
            yield row

    def _look_at(self, checkpoint: AuditCheckpoint, batch: AuditBatch | None) -> None:
        report = self._report
        report.checkpoints += 1
        where = f"checkpoint of batch {checkpoint.number} by key {checkpoint.key_id}"
        if not self._is_signed(checkpoint, where):
            return
        if batch is None:
            report.add(Fault.TAIL_REMOVED, f"{where}; the chain ends at {report.head.number}")
        elif checkpoint.sha256 != batch.sha256:
            report.add(Fault.CHAIN_REMADE, f"{where} is of another batch {batch.number}")
        elif self._signatures is not None:
            report.signed_up_to = batch.number

    def _look_at_pruning(self, pruning: AuditPruning) -> None:
        if self._is_signed(pruning, _named(pruning)) and self._signatures is not None:
            self._report.signed_up_to = pruning.number

    def _is_signed(self, signed: AuditCheckpoint | AuditPruning, where: str) -> bool:
        """Whether nothing speaks against the signature."""
        if self._signatures is None or self._signatures.good(signed):
            return True
        known = self._signatures.knows(signed.key_id)
        self._report.add(Fault.SIGNATURE_BAD if known else Fault.KEY_UNKNOWN, where)
        return False

    async def _look_behind_the_end(self) -> None:
        for checkpoint in await self._reader.checkpoints_beyond():
            self._look_at(checkpoint, None)
        for row in await self._reader.outside(MAX_FINDINGS):
            self._stray(row)
        if not self._expected_seen:
            self._report.add(Fault.TAIL_REMOVED, "no batch has the expected head's hash")

    def _stray(self, row: AuditRow) -> None:
        place = "no sequence" if row.sequence is None else f"sequence {row.sequence}"
        self._report.add(Fault.ROW_INSERTED, f"{place}, id {row.record.id}: in no batch")


def _place(row: AuditRow) -> int:
    return row.sequence or 0


def _named(pruning: AuditPruning) -> str:
    return f"pruning up to batch {pruning.number} by key {pruning.key_id}"


def _span(first: int, last: int) -> str:
    return f"batch {first}" if first == last else f"batches {first} to {last}"
