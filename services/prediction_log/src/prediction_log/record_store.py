"""Writes records of any kind, each kind in the way that its table asks for."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.audit_writer import AuditWriter
from prediction_log.database import Database
from prediction_log.domain import (
    AuditRecord,
    DeadLetter,
    DeploymentRecord,
    FeedbackRecord,
    IncidentChange,
    MetricRecord,
    PredictionRecord,
    Record,
)
from prediction_log.incident_writer import IncidentWriter
from prediction_log.prediction_writer import PredictionWriter
from prediction_log.staged_copy import StagedCopy
from prediction_log.subject_keys import SubjectKeys
from prediction_log.tables import (
    DATASET_METRICS,
    DEAD_LETTERS,
    FEEDBACK,
    MODEL_DEPLOYMENTS,
)


class Writer(Protocol):
    """Writes records of one kind."""

    async def write(self, connection: AsyncConnection, records: Sequence[Any]) -> int:
        """Writes within the transaction of `connection`; returns how many were not there before.

        Raises:
            RejectedData: at least one can never be written.
        """


class RecordStore:
    """Adds rows to the log's tables."""

    def __init__(self, database: Database, writers: Mapping[type, Writer]) -> None:
        self._database = database
        self._writers = writers

    async def insert(self, records: Sequence[Record]) -> int:
        """Writes records of one kind in one transaction; returns how many were not there before.

        Raises:
            LogStoreUnavailable: nothing was written, as far as is known.
            RejectedData: the database refuses at least one of them; nothing was written.
        """
        if not records:
            return 0
        async with self._database.transaction() as connection:
            return await self._write(connection, records)

    async def _write(self, connection: AsyncConnection, records: Sequence[Record]) -> int:
        return await self._writers[type(records[0])].write(connection, records)


def record_writers(keys: SubjectKeys | None = None) -> dict[type, Writer]:
    """The writer of every kind of record.

    Args:
        keys: what texts are encrypted under; None where the service has no keys.
    """
    return {
        PredictionRecord: PredictionWriter(keys),
        FeedbackRecord: StagedCopy(FeedbackRecord, FEEDBACK),
        DeploymentRecord: StagedCopy(DeploymentRecord, MODEL_DEPLOYMENTS),
        MetricRecord: StagedCopy(MetricRecord, DATASET_METRICS),
        AuditRecord: AuditWriter(),
        IncidentChange: IncidentWriter(),
        DeadLetter: StagedCopy(DeadLetter, DEAD_LETTERS),
    }
