"""Which subjects were erased, and what that leaves of a prediction."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, null, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.advisory_locks import AdvisoryLock
from prediction_log.domain import Erasure, PredictionRecord
from prediction_log.tables import ERASURES, FEEDBACK, PREDICTION_LOGS

_E = ERASURES.c
_F = FEEDBACK.c
_P = PREDICTION_LOGS.c
_REDACTED = {
    "input_sha256": b"",
    "request_id": "",
    "input_unopened": False,
    "subject_digest": null(),
    "input_text": null(),
    "input_ciphertext": null(),
    "input_key_id": null(),
    "erased_at": func.now(),
}


def redacted(record: PredictionRecord, now: datetime) -> PredictionRecord:
    """The same for a record that is not a row yet."""
    return replace(
        record,
        input_sha256=b"",
        request_id="",
        input_unopened=False,
        subject_digest=None,
        input_text=None,
        input_ciphertext=None,
        input_key_id=None,
        erased_at=now,
    )


async def hold_off_erasures(connection: AsyncConnection) -> None:
    """Makes new erasures wait for the end of this transaction, and waits for one that began."""
    await connection.execute(select(func.pg_advisory_xact_lock_shared(AdvisoryLock.ERASURES)))


async def hold_off_intake(connection: AsyncConnection) -> None:
    """Waits for all who hold off erasures, and makes those who come wait."""
    await connection.execute(select(func.pg_advisory_xact_lock(AdvisoryLock.ERASURES)))


async def erased_until(
    connection: AsyncConnection, subjects: Collection[tuple[str, bytes]]
) -> dict[tuple[str, bytes], datetime]:
    """Up to when each of the subjects (tenant, digest) is erased; without those that are not."""
    query = (
        select(_E.tenant, _E.subject_digest, func.max(_E.requested_at))
        .where(tuple_(_E.tenant, _E.subject_digest).in_(sorted(subjects)))
        .group_by(_E.tenant, _E.subject_digest)
    )
    rows = await connection.execute(query)
    return {(tenant, digest): moment for tenant, digest, moment in rows}


async def drop_comments(
    connection: AsyncConnection, tenant: str, predictions: Collection[UUID]
) -> None:
    """Takes the comments out of the feedback on the predictions."""
    await connection.execute(
        update(FEEDBACK)
        .where(_F.tenant == tenant, _F.prediction_id.in_(predictions), _F.comment.is_not(None))
        .values(comment=None)
    )


async def redact_rows(
    connection: AsyncConnection, erasure: Erasure, predictions: Sequence[UUID]
) -> int:
    """Redacts and counts rows of the erasure's tenant; returns how many were not redacted yet."""
    if not predictions:
        return 0
    changed = await connection.execute(
        update(PREDICTION_LOGS)
        .where(_P.tenant == erasure.tenant, _P.id.in_(predictions), _P.erased_at.is_(None))
        .values(_REDACTED)
    )
    # After the rows are locked: feedback that comes now sees them redacted and drops its comment.
    await drop_comments(connection, erasure.tenant, predictions)
    redacted = int(changed.rowcount)
    await connection.execute(
        update(ERASURES).where(_E.id == erasure.id).values(redacted=_E.redacted + redacted)
    )
    return redacted
