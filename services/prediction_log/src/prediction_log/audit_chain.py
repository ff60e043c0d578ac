"""The audit trail's hash chain: what is hashed, in which order, and how the hashes hang together.

A batch is what one transaction added. It keeps a SHA-256 of each of its rows, in order, and its own
SHA-256 covers those, its place in the chain and the batch before it: whoever knows one batch's hash
can tell whether anything up to it was changed since. The encoding never changes; another one would
be another version, with a tag of its own.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from prediction_log.domain import AuditRecord

MAX_BATCH_ROWS = 1000
"""Rows in a batch: whoever verifies holds as many in memory."""
LOWEST = -(2**63)
"""Below every number and sequence that a table can hold, also where somebody put one by hand."""
BEGINNING = bytes(32)
"""Stands for the batch before the first one."""
_ROW = b"weir.audit.row.v1\0"
_BATCH = b"weir.audit.batch.v1\0"
_CHECKPOINT = b"weir.audit.checkpoint.v1\0"
_PRUNING = b"weir.audit.pruning.v1\0"
_DIGEST = hashlib.sha256().digest_size
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABSENT = 2**32 - 1
"""Stands for the length of a text that is absent."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A row of the trail, as the database has it."""

    sequence: int | None
    """Its place in the trail, from 1 without gaps; None outside of the chain."""
    batch: int | None
    record: AuditRecord
    recorded_at: datetime

    def sha256(self) -> bytes:
        """Hash of what it says; its place is in the batch."""
        record = self.record
        texts = (
            record.action,
            record.outcome,
            record.client_id,
            record.tenant,
            record.client_address,
            record.request_id,
            record.reason,
            record.target,
        )
        hashed = hashlib.sha256(_ROW + record.id.bytes)
        moments = (_microseconds(record.occurred_at), _microseconds(self.recorded_at))
        hashed.update(struct.pack("!qq", *moments))
        for text in texts:
            encoded = b"" if text is None else text.encode()
            hashed.update(struct.pack("!I", _ABSENT if text is None else len(encoded)) + encoded)
        return hashed.digest()


@dataclass(frozen=True, slots=True)
class AuditBatch:
    """Rows that were committed together, and their link to the batch before."""

    number: int
    """From 1, without gaps."""
    first_sequence: int
    last_sequence: int
    row_count: int
    made_at: datetime
    row_sha256s: bytes
    """Of each row in order, one after the other."""
    previous_sha256: bytes
    sha256: bytes

    def computed_sha256(self) -> bytes:
        """What `sha256` is if nothing was changed."""
        place = (self.number, self.first_sequence, self.last_sequence, self.row_count)
        header = struct.pack("!qqqqq", *place, _microseconds(self.made_at))
        return hashlib.sha256(_BATCH + header + self.previous_sha256 + self.row_sha256s).digest()

    def hashes(self) -> list[bytes]:
        """The hash of each row, by its place in the batch."""
        joined = self.row_sha256s
        return [joined[at : at + _DIGEST] for at in range(0, len(joined), _DIGEST)]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where the chain ends."""

    number: int = 0
    last_sequence: int = 0
    sha256: bytes = BEGINNING


@dataclass(frozen=True, slots=True)
class AuditCheckpoint:
    """A batch's number and hash, signed: the chain up to it cannot be made anew without the key."""

    number: int
    sha256: bytes
    made_at: datetime
    key_id: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return checkpoint_bytes(self.number, self.sha256, self.made_at)


@dataclass(frozen=True, slots=True)
class AuditPruning:
    """Says that the trail up to a batch has left because of its age: what is left begins behind it.

    Only who holds the key can make one, so what was removed otherwise is found missing.
    """

    number: int
    last_sequence: int
    sha256: bytes
    recorded_before: datetime
    """Every row that left was recorded before this moment."""
    made_at: datetime
    key_id: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        moments = (_microseconds(self.recorded_before), _microseconds(self.made_at))
        place = struct.pack("!qqqq", self.number, self.last_sequence, *moments)
        return _PRUNING + place + self.sha256


def checkpoint_bytes(number: int, sha256: bytes, made_at: datetime) -> bytes:
    """What a checkpoint's signature is over."""
    return _CHECKPOINT + struct.pack("!qq", number, _microseconds(made_at)) + sha256


def next_batch(
    head: ChainHead, records: Sequence[AuditRecord], made_at: datetime
) -> tuple[AuditBatch, list[AuditRow]]:
    """The batch that follows `head` when these records are added at that moment.

    Raises:
        UnicodeEncodeError: a text holds half of a surrogate pair.
    """
    number, first = head.number + 1, head.last_sequence + 1
    places = enumerate(records, first)
    rows = [AuditRow(sequence, number, record, made_at) for sequence, record in places]
    return chained(head, rows, made_at), rows


def chained(head: ChainHead, rows: Sequence[AuditRow], made_at: datetime) -> AuditBatch:
    """The batch of rows that already have their places behind `head`."""
    batch = AuditBatch(
        number=head.number + 1,
        first_sequence=head.last_sequence + 1,
        last_sequence=head.last_sequence + len(rows),
        row_count=len(rows),
        made_at=made_at,
        row_sha256s=b"".join(row.sha256() for row in rows),
        previous_sha256=head.sha256,
        sha256=b"",
    )
    return replace(batch, sha256=batch.computed_sha256())


def head_of(batch: AuditBatch) -> ChainHead:
    """The chain's end where this batch is the last one."""
    return ChainHead(batch.number, batch.last_sequence, batch.sha256)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
