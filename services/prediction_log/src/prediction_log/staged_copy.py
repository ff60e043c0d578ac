"""Many rows at once into a table that may hold some of them: COPY aside, then one INSERT."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable

from prediction_log.database import driver_connection
from prediction_log.domain import RejectedData


class StagedCopy:
    """Writes records of one kind into the table of the same columns, passing over known keys."""

    def __init__(self, kind: type, table: Table) -> None:
        self.columns = [field.name for field in fields(kind)]
        self.staging = Table(
            # Behind PgBouncer a session, with its temporary tables, may outlive the version of the
            # service that made them: the number of columns tells them apart.
            f"staged_{table.name}_{len(self.columns)}",
            MetaData(),
            *(Column(name, table.c[name].type) for name in self.columns),
            prefixes=["TEMPORARY"],
            # Kept by the session: making one for each batch would churn the catalogue.
            postgresql_on_commit="DELETE ROWS",
        )
        self._values = attrgetter(*self.columns)
        self._create = CreateTable(self.staging, if_not_exists=True)
        # In order of the key, so that replicas which write the same rows do not deadlock.
        staged = select(self.staging).order_by(
            *(self.staging.c[key.name] for key in table.primary_key)
        )
        self.insert: Insert = (
            insert(table).from_select(self.columns, staged).on_conflict_do_nothing()
        )
        """From the staging table; what is there already stays as it is."""

    async def write(self, connection: AsyncConnection, records: Sequence[Any]) -> int:
        """Returns how many were not there before.

        Raises:
            RejectedData: a value does not fit its column.
        """
        await self.stage(connection, records)
        return int((await connection.execute(self.insert)).rowcount)

    async def stage(self, connection: AsyncConnection, records: Sequence[Any]) -> None:
        """Puts the records into the staging table, where they stay until the transaction ends.

        Raises:
            RejectedData: a value does not fit its column.
        """
        rows = [tuple(map(_plain, self._values(record))) for record in records]
        raw = await driver_connection(connection)
        # As text: SQLAlchemy forgets all its prepared statements where it sees DDL.
        await raw.execute(str(self._create.compile(dialect=connection.dialect)))
        try:
            await raw.copy_records_to_table(
                self.staging.name, records=rows, columns=self.columns, schema_name="pg_temp"
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise RejectedData("a value does not fit its column") from error


def _plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, Mapping) else value
