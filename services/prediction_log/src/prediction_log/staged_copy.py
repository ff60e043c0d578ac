"""Many rows at once into a table that may hold some of them: COPY aside, then one INSERT."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable

from prediction_log.database import driver_connection
from prediction_log.errors import RejectedData

_SLICE = 200
"""Rows that are encoded at one go, a few milliseconds: queries are answered in between."""


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
        self._json = [
            place
            for place, name in enumerate(self.columns)
            if isinstance(table.c[name].type, JSONB)
        ]
        self._create = CreateTable(self.staging, if_not_exists=True)
        self._create_text = ""
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
        raw = await driver_connection(connection)
        if not self._create_text:
            # To write it for each batch would take a quarter of a millisecond.
            self._create_text = str(self._create.compile(dialect=connection.dialect))
        # As text: SQLAlchemy forgets all its prepared statements where it sees DDL.
        await raw.execute(self._create_text)
        try:
            await raw.copy_records_to_table(
                self.staging.name,
                records=self._rows(records),
                columns=self.columns,
                schema_name="pg_temp",
            )
        except (ValueError, TypeError, OverflowError) as error:
            raise RejectedData("a value does not fit its column") from error

    async def _rows(self, records: Sequence[Any]) -> AsyncIterator[tuple[Any, ...]]:
        for number, record in enumerate(records):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            yield self._row(record)

    def _row(self, record: Any) -> tuple[Any, ...]:
        values: tuple[Any, ...] = self._values(record)
        for place in self._json:
            values = (*values[:place], _json(values[place]), *values[place + 1 :])
        return values


def _json(value: Mapping[str, object]) -> str:
    """An object as JSON; several times as fast as the encoder where the values are numbers."""
    parts = [
        # A number less itself is 0 where it is finite.
        f"{_quoted(name)}:{part!r}"
        if type(part) is float and part - part == 0
        else f"{_quoted(name)}:{json.dumps(part)}"
        for name, part in value.items()
    ]
    return f"{{{','.join(parts)}}}"


_quoted = lru_cache(maxsize=4096)(json.dumps)
"""Names come again and again."""
