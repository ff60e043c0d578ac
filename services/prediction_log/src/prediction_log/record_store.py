"""Writes records: COPY into a staging table, then one INSERT that passes over what is there."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.schema import CreateTable

from prediction_log.database import Database, driver_connection
from prediction_log.domain import (
    AuditRecord,
    DeadLetter,
    DeploymentRecord,
    FeedbackRecord,
    MetricRecord,
    PredictionRecord,
    Record,
    RejectedData,
)
from prediction_log.tables import (
    AUDIT_LOG,
    DATASET_METRICS,
    DEAD_LETTERS,
    FEEDBACK,
    MODEL_DEPLOYMENTS,
    PREDICTION_LOGS,
)


class RecordStore:
    """Adds rows to the log's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, records: Sequence[Record]) -> int:
        """Writes records of one kind in one transaction; returns how many were not there before.

        Raises:
            LogStoreUnavailable: nothing was written, as far as is known.
            RejectedData: the database refuses at least one of them; nothing was written.
        """
        if not records:
            return 0
        plan = _PLANS[type(records[0])]
        rows = [tuple(map(_plain, plan.values(record))) for record in records]
        async with self._database.transaction() as connection:
            raw = await driver_connection(connection)
            # As text: SQLAlchemy forgets all its prepared statements where it sees DDL.
            await raw.execute(str(plan.stage.compile(dialect=connection.dialect)))
            try:
                await raw.copy_records_to_table(
                    plan.staging, records=rows, columns=plan.columns, schema_name="pg_temp"
                )
            except (ValueError, TypeError, OverflowError) as error:
                raise RejectedData("a value does not fit its column") from error
            result = await connection.execute(plan.insert)
        return int(result.rowcount)


@dataclass(frozen=True, slots=True)
class _Plan:
    columns: Sequence[str]
    values: Callable[[Any], tuple[Any, ...]]
    staging: str
    stage: CreateTable
    insert: Insert


def _plan(kind: type, table: Table) -> _Plan:
    columns = [field.name for field in fields(kind)]
    staging = Table(
        # Behind PgBouncer a session, with its temporary tables, may outlive the version of the
        # service that made them: the number of columns tells them apart.
        f"staged_{table.name}_{len(columns)}",
        MetaData(),
        *(Column(name, table.c[name].type) for name in columns),
        prefixes=["TEMPORARY"],
        # Kept by the session: making one for each batch would churn the catalogue.
        postgresql_on_commit="DELETE ROWS",
    )
    # In order of the key, so that replicas which write the same rows do not deadlock.
    staged = select(staging).order_by(*(staging.c[key.name] for key in table.primary_key))
    return _Plan(
        columns=columns,
        values=attrgetter(*columns),
        staging=staging.name,
        stage=CreateTable(staging, if_not_exists=True),
        insert=insert(table).from_select(columns, staged).on_conflict_do_nothing(),
    )


_PLANS = {
    kind: _plan(kind, table)
    for kind, table in {
        PredictionRecord: PREDICTION_LOGS,
        FeedbackRecord: FEEDBACK,
        DeploymentRecord: MODEL_DEPLOYMENTS,
        MetricRecord: DATASET_METRICS,
        AuditRecord: AUDIT_LOG,
        DeadLetter: DEAD_LETTERS,
    }.items()
}


def _plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, Mapping) else value
