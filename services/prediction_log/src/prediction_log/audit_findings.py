"""What can be wrong with the audit trail, and how one batch is compared with its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from prediction_log.audit_chain import AuditBatch, AuditRow


class Fault(StrEnum):
    """Kinds of damage."""

    ROW_ALTERED = "row altered"
    ROW_REMOVED = "row removed"
    ROW_MOVED = "row moved"
    ROW_INSERTED = "row inserted"
    BATCH_ALTERED = "batch altered"
    BATCH_REMOVED = "batch removed"
    BATCH_INSERTED = "batch inserted"
    CHAIN_REMADE = "chain made anew"
    TAIL_REMOVED = "tail removed"
    SIGNATURE_BAD = "signature bad"
    KEY_UNKNOWN = "key unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    fault: Fault
    where: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.where}"


def compare_rows(batch: AuditBatch, rows: Sequence[AuditRow]) -> Iterator[Finding]:
    """What became of the rows of a batch.

    Args:
        rows: all that have a place within the batch, in order of their places.
    """
    places = {digest: batch.first_sequence + at for at, digest in enumerate(batch.hashes())}
    found = [(row, row.sha256()) for row in rows]
    missing = {place: digest for digest, place in places.items()}
    strangers: list[AuditRow] = []
    for row, digest in found:
        place = places.get(digest)
        if place is None:
            strangers.append(row)
            continue
        missing.pop(place, None)
        if place != row.sequence:
            moved = f"{_name(row, batch)}, which was chained as sequence {place}"
            yield Finding(Fault.ROW_MOVED, moved)
        elif row.batch != batch.number:
            yield Finding(Fault.ROW_ALTERED, f"{_name(row, batch)}: it claims batch {row.batch}")
    for row in strangers:
        # It stands where a row is missing: that row, with other values.
        if row.sequence in missing:
            del missing[row.sequence]
            yield Finding(Fault.ROW_ALTERED, _name(row, batch))
        else:
            yield Finding(Fault.ROW_INSERTED, _name(row, batch))
    for place in sorted(missing):
        yield Finding(Fault.ROW_REMOVED, f"sequence {place} of batch {batch.number}")


def consistent(batch: AuditBatch) -> bool:
    """Whether a batch is what it was when it was made, as far as its own hash tells."""
    size = len(batch.hashes())
    return (
        batch.computed_sha256() == batch.sha256
        and batch.row_count == size
        and batch.last_sequence == batch.first_sequence + size - 1
    )


def _name(row: AuditRow, batch: AuditBatch) -> str:
    return f"sequence {row.sequence} of batch {batch.number}, id {row.record.id}"
