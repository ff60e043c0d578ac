"""Writes predictions as their tenants' policies have them kept."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.domain import PredictionRecord
from prediction_log.erased_subjects import (
    drop_comments,
    erased_until,
    hold_off_erasures,
    redacted,
)
from prediction_log.staged_copy import StagedCopy
from prediction_log.subject_keys import SubjectKey, SubjectKeys
from prediction_log.tables import PREDICTION_LOGS

_PRIVATE = ("subject_digest", "input_text", "input_ciphertext", "input_key_id")


class PredictionWriter:
    """Encrypts what is to be encrypted and drops what is about people who were erased.

    A batch without private parts costs nothing more than copying it.

    Args:
        keys: None where the service has no keys; then no record holds a text or a subject.
    """

    def __init__(self, keys: SubjectKeys | None) -> None:
        self._keys = keys
        self._copy = StagedCopy(PredictionRecord, PREDICTION_LOGS)

    async def write(self, connection: AsyncConnection, records: Sequence[PredictionRecord]) -> int:
        """Returns how many were not there before.

        Raises:
            RejectedData: a value does not fit its column.
            SubjectKeysUnusable: the texts of some owners cannot be encrypted; nothing was written.
        """
        if self._keys is None or not any(map(_is_private, records)):
            return await self._copy.write(connection, records)
        protected = await self._protected(connection, records, self._keys)
        written = await self._copy.write(connection, protected)
        if written < len(records):
            await self._complete(connection)
        return written

    async def _protected(
        self, connection: AsyncConnection, records: Sequence[PredictionRecord], keys: SubjectKeys
    ) -> list[PredictionRecord]:
        await hold_off_erasures(connection)
        remaining = await _without_erased(connection, records)
        owners = {_owner(record) for record in remaining if record.is_to_be_encrypted}
        key_of = await keys.of(connection, owners) if owners else {}
        return [
            _encrypted(record, key_of[_owner(record)]) if record.is_to_be_encrypted else record
            for record in remaining
        ]

    async def _complete(self, connection: AsyncConnection) -> None:
        """Adds private parts to rows that were written while they could not be opened."""
        staged, target = self._copy.staging.c, PREDICTION_LOGS.c
        await connection.execute(
            update(PREDICTION_LOGS)
            .where(
                target.id == staged.id,
                target.tenant == staged.tenant,
                target.input_unopened,
                ~staged.input_unopened,
            )
            .values({name: staged[name] for name in ("input_unopened", *_PRIVATE)})
        )


async def _without_erased(
    connection: AsyncConnection, records: Sequence[PredictionRecord]
) -> list[PredictionRecord]:
    subjects = {
        (record.tenant, record.subject_digest)
        for record in records
        if record.subject_digest is not None
    }
    until = await erased_until(connection, subjects) if subjects else {}
    if not until:
        return list(records)
    now = datetime.now(UTC)
    remaining = []
    for record in records:
        subject = (record.tenant, record.subject_digest or b"")
        if subject in until and record.predicted_at <= until[subject]:
            # After a replay feedback may have come before the prediction.
            await drop_comments(connection, record.tenant, [record.id])
            record = redacted(record, now)
        remaining.append(record)
    return remaining


def _is_private(record: PredictionRecord) -> bool:
    return record.subject_digest is not None or record.input_text is not None


def _owner(record: PredictionRecord) -> tuple[str, bytes | None]:
    return record.tenant, record.subject_digest


def _encrypted(record: PredictionRecord, key: SubjectKey) -> PredictionRecord:
    text = record.input_text or ""
    return replace(
        record,
        input_text=None,
        input_ciphertext=key.encrypt(text, record.tenant, record.id),
        input_key_id=key.id,
    )
