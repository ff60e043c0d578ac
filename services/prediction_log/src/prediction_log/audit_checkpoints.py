"""Signs the end of the audit trail's chain now and then, after a look at how it was reached."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from prometheus_client import Gauge
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from prediction_log.audit_chain import AuditCheckpoint, ChainHead, head_of
from prediction_log.audit_findings import consistent
from prediction_log.audit_trail import AuditTrail
from prediction_log.audit_writer import chain_head
from prediction_log.database import Database
from prediction_log.errors import LogStoreUnavailable, QueryTooSlow
from prediction_log.tables import AUDIT_CHECKPOINTS

_log = structlog.get_logger(__name__)

SIGNED = Gauge(
    "weir_prediction_log_audit_signed_batch",
    "The last batch of the audit trail that this replica saw signed.",
)
HEAD = Gauge("weir_prediction_log_audit_head_batch", "The last batch of the audit trail.")
BROKEN = Gauge(
    "weir_prediction_log_audit_chain_broken",
    "1 while the audit trail's end does not follow from its last checkpoint: nothing is signed.",
)
_FINAL_TIMEOUT = 2.0
"""Seconds that the last checkpoint may take when the service stops."""
_LATEST = (
    select(*(AUDIT_CHECKPOINTS.c[name] for name in AuditCheckpoint.__slots__))
    .order_by(AUDIT_CHECKPOINTS.c.number.desc())
    .limit(1)
)


class Signer(Protocol):
    """Signs checkpoints."""

    def sign(self, number: int, sha256: bytes, made_at: datetime) -> AuditCheckpoint:
        """The checkpoint of a batch."""
        ...


class CheckpointKeeper:
    """Adds checkpoints. Every replica may have one: they look at the same chain.

    Each is a log event, too, so that a copy lives where nobody who can change the database can.

    Args:
        batches: so many unsigned batches are signed at the next look.
        interval: unsigned batches are signed when the last checkpoint is as old as this, seconds.
    """

    def __init__(
        self,
        database: Database,
        signer: Signer,
        *,
        batches: int,
        interval: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._trail = AuditTrail(database)
        self._signer = signer
        self._batches = batches
        self._interval = timedelta(seconds=interval)
        self._clock = clock
        self._seen: AuditCheckpoint | None = None
        self._broken = False

    async def look(self) -> None:
        """Signs the chain's end if it is time; while the database is away it is not."""
        try:
            await self._look(self._due)
        except (LogStoreUnavailable, QueryTooSlow) as error:
            _log.debug("audit_checkpoint_not_made", reason=str(error))

    async def finish(self) -> None:
        """Signs what is unsigned when the service stops, if the database answers soon."""
        try:
            async with asyncio.timeout(_FINAL_TIMEOUT):
                await self._look(lambda _head, _last: True)
        except (LogStoreUnavailable, QueryTooSlow, TimeoutError) as error:
            _log.info("audit_checkpoint_not_made", reason=str(error) or type(error).__name__)

    def _due(self, head: ChainHead, last: AuditCheckpoint | None) -> bool:
        if last is None or head.number - last.number >= self._batches:
            return True
        return self._clock() - last.made_at >= self._interval

    async def _look(self, due: Callable[[ChainHead, AuditCheckpoint | None], bool]) -> None:
        async with self._database.transaction() as connection:
            head = await chain_head(connection)
            row = (await connection.execute(_LATEST)).one_or_none()
        last = _later(self._seen, AuditCheckpoint(*row) if row else None)
        HEAD.set(head.number)
        if last is not None and head == ChainHead(last.number, head.last_sequence, last.sha256):
            self._tell(broken=False, at=head.number)
            self._remember(last)
        elif head.number == 0 and last is None:
            return
        elif due(head, last):
            await self._sign(head, last)

    async def _sign(self, head: ChainHead, last: AuditCheckpoint | None) -> None:
        broken_at = await self._first_break(last, head.number)
        self._tell(broken=broken_at is not None, at=broken_at or head.number)
        if broken_at is not None:
            return
        checkpoint = self._signer.sign(head.number, head.sha256, self._clock())
        add = insert(AUDIT_CHECKPOINTS).values(asdict(checkpoint)).on_conflict_do_nothing()
        async with self._database.transaction() as connection:
            await connection.execute(add)
        self._remember(checkpoint)
        _log.info(
            "audit_checkpoint",
            batch=checkpoint.number,
            sha256=checkpoint.sha256.hex(),
            made_at=checkpoint.made_at.isoformat(),
            key_id=checkpoint.key_id,
            signature=checkpoint.signature.hex(),
        )

    async def _first_break(self, last: AuditCheckpoint | None, upto: int) -> int | None:
        """The first batch since the last checkpoint that does not follow from the one before."""
        head = ChainHead()
        if last is not None:
            head = ChainHead(last.number - 1)
        async for batch, _ in self._trail.batches(head.number):
            if batch.number > upto:
                break
            if last is not None and batch.number == last.number:
                follows = batch.sha256 == last.sha256
            else:
                follows = batch.previous_sha256 == head.sha256
            if not (follows and consistent(batch) and batch.number == head.number + 1):
                return head.number + 1
            head = head_of(batch)
        return None if head.number == upto else head.number + 1

    def _remember(self, checkpoint: AuditCheckpoint) -> None:
        self._seen = checkpoint
        SIGNED.set(checkpoint.number)

    def _tell(self, *, broken: bool, at: int) -> None:
        if broken and not self._broken:
            _log.error(
                "audit_chain_broken", batch=at, remedy="python -m prediction_log verify-audit"
            )
        elif self._broken and not broken:
            _log.info("audit_chain_whole_again")
        self._broken = broken
        BROKEN.set(broken)


def _later(seen: AuditCheckpoint | None, stored: AuditCheckpoint | None) -> AuditCheckpoint | None:
    """The newest; what this process signed itself counts even where it is gone from the table."""
    known = [checkpoint for checkpoint in (seen, stored) if checkpoint is not None]
    # Of two at the same batch our own is the one to believe.
    return max(known, key=lambda checkpoint: checkpoint.number, default=None)
