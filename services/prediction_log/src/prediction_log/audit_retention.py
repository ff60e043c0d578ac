"""Lets the oldest part of the audit trail go: whole batches, up to a signed checkpoint.

What leaves is verified first, and what is damaged stays: it is evidence. Then a signed statement is
kept that names the last batch that leaves and its hash, and the trail itself says that it was made.
Only then do batches leave, a few at a time. Whoever is killed in between leaves a chain that can be
verified, and that the next one goes on with.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import exists, select, text
from sqlalchemy.dialects.postgresql import insert

from prediction_log.audit_chain import (
    AuditBatch,
    AuditCheckpoint,
    AuditPruning,
    AuditRow,
    head_of,
)
from prediction_log.audit_signing import AuditSigner
from prediction_log.audit_trail import AuditTrail
from prediction_log.audit_verification import ChainWalk
from prediction_log.audit_writer import AuditWriter
from prediction_log.database import Database
from prediction_log.domain import AuditRecord
from prediction_log.errors import AuditRetentionRefused, LogStoreUnavailable, QueryTooSlow
from prediction_log.tables import AUDIT_BATCHES, AUDIT_CHECKPOINTS, AUDIT_PRUNINGS
from servicekit.identifiers import new_id

_log = structlog.get_logger(__name__)

PRUNED = Counter(
    "weir_prediction_log_audit_batches_pruned_total",
    "Batches of the audit trail that left because of their age.",
)
REFUSED = Gauge(
    "weir_prediction_log_audit_retention_refused",
    "1 while rows of the audit trail are over their time and may not leave: no signed checkpoint "
    "covers them, there is no key to sign with, or they are damaged.",
)
_BATCHES_AT_ONCE = 100
_B, _C = AUDIT_BATCHES.c, AUDIT_CHECKPOINTS.c
_BATCH = [_B[name] for name in AuditBatch.__slots__]
_OLDEST = select(*_BATCH).order_by(_B.number).limit(1)
_SIGNED = exists().where(_C.number == _B.number, _C.sha256 == _B.sha256)
_NEWEST_CHECKPOINT = select(_C.number).order_by(_C.number.desc()).limit(1).scalar_subquery()
_PRUNE = text("SELECT weir_prune_audit(:most)")


@dataclass(frozen=True, slots=True)
class Segment:
    """What may leave: everything up to a batch that has a checkpoint."""

    last: AuditBatch
    recorded_before: datetime


class AuditRetention:
    """Any number of replicas may do it at the same time: each step finds its work done.

    Args:
        signer: None where the service has no key; then nothing leaves.
        days: how long a row stays at least; whole UTC days leave together.
        clock: the time in UTC.
    """

    def __init__(
        self,
        database: Database,
        signer: AuditSigner | None,
        days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._trail = AuditTrail(database)
        self._signer = signer
        self._days = days
        self._clock = clock
        self._refused = ""

    async def plan(self) -> Segment | None:
        """What would leave now; None where no row is over its time.

        Raises:
            AuditRetentionRefused: rows are, and may not leave.
            LogStoreUnavailable, QueryTooSlow: nobody can say.
        """
        over = self._clock() - timedelta(days=self._days)
        before = over.replace(hour=0, minute=0, second=0, microsecond=0)
        # The newest checkpoint stays out of it: the next one is compared with its batch.
        covered = (
            select(*_BATCH)
            .where(_SIGNED, _B.made_at < before, _B.number < _NEWEST_CHECKPOINT)
            .order_by(_B.number.desc())
            .limit(1)
        )
        async with self._database.transaction() as connection:
            oldest = (await connection.execute(_OLDEST)).one_or_none()
            if oldest is None or oldest.made_at >= before:
                return None
            found = (await connection.execute(covered)).one_or_none()
            signed = await connection.scalar(select(_B.number).where(_SIGNED).limit(1))
        if found is None:
            if signed is None:
                raise AuditRetentionRefused("no signed checkpoint covers the rows")
            # The next checkpoint's batch is not over its time yet.
            return None
        if self._signer is None:
            raise AuditRetentionRefused("there is no key to sign what leaves with")
        return Segment(AuditBatch(*found), before)

    async def apply(self) -> int:
        """Lets everything go whose time is over; returns how many batches left.

        Raises:
            AuditRetentionRefused: rows are over their time and may not leave.
            LogStoreUnavailable, QueryTooSlow: something is left to do.
        """
        # What somebody stated before and did not finish.
        gone = await self._prune()
        segment = await self.plan()
        if segment is not None and self._signer is not None:
            walk = ChainWalk(_Part(self._trail, segment.last.number))
            report = await walk.run()
            if not report.intact or report.head != head_of(segment.last):
                raise AuditRetentionRefused(
                    "they are damaged; python -m prediction_log verify-audit"
                )
            await self._state(segment, self._signer)
            gone += await self._prune()
        return gone

    async def look(self) -> None:
        """Does what is to be done. What does not work now is logged and tried the next time."""
        refused = ""
        try:
            await self.apply()
        except (LogStoreUnavailable, QueryTooSlow) as error:
            _log.warning("audit_retention_put_off", reason=str(error))
            return
        except AuditRetentionRefused as error:
            refused = str(error)
        if refused and refused != self._refused:
            _log.error("audit_retention_refused", reason=refused)
        self._refused = refused
        REFUSED.set(bool(refused))

    async def _state(self, segment: Segment, signer: AuditSigner) -> None:
        now = self._clock()
        pruning = signer.sign_pruning(head_of(segment.last), segment.recorded_before, now)
        record = AuditRecord(
            id=new_id(),
            occurred_at=now,
            action="audit.prune",
            outcome="allowed",
            client_id="prediction_log",
            tenant=None,
            client_address=None,
            request_id=None,
            reason=None,
            target=f"batch {pruning.number}",
        )
        add = insert(AUDIT_PRUNINGS).values(asdict(pruning)).on_conflict_do_nothing()
        async with self._database.transaction() as connection:
            if (await connection.execute(add)).rowcount:
                await AuditWriter().write(connection, [record])
        _log.info(
            "audit_pruning",
            batch=pruning.number,
            sha256=pruning.sha256.hex(),
            recorded_before=pruning.recorded_before.isoformat(),
            key_id=pruning.key_id,
            signature=pruning.signature.hex(),
        )

    async def _prune(self) -> int:
        total = 0
        while True:
            async with self._database.transaction() as connection:
                parameters = {"most": _BATCHES_AT_ONCE}
                gone = int(await connection.scalar(_PRUNE, parameters) or 0)
            PRUNED.inc(gone)
            total += gone
            if not gone:
                return total


class _Part:
    """The trail up to a batch, to be walked."""

    def __init__(self, trail: AuditTrail, last: int) -> None:
        self._trail = trail
        self._last = last

    async def beginning(self) -> tuple[AuditPruning | None, int]:
        return await self._trail.beginning()

    async def batches(self) -> AsyncIterator[tuple[AuditBatch, Sequence[AuditCheckpoint]]]:
        async for batch, checkpoints in self._trail.batches():
            if batch.number > self._last:
                return
            yield batch, checkpoints

    async def rows(self, after: tuple[int, UUID]) -> Sequence[AuditRow]:
        return await self._trail.rows(after)

    async def outside(self, limit: int) -> Sequence[AuditRow]:
        return []

    async def checkpoints_beyond(self) -> Sequence[AuditCheckpoint]:
        return []
