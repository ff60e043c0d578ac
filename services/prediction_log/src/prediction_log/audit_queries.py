"""Finds audit records again, newest first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.database import Database
from prediction_log.domain import AuditRecord
from prediction_log.tables import AUDIT_LOG

_A = AUDIT_LOG.c
_RECORD = [_A[field.name] for field in fields(AuditRecord)]
_NEWEST_FIRST = (_A.occurred_at.desc(), _A.id.desc())
_FIRST_STRETCH = 2_000
_LONGEST_STRETCH = 50_000
"""Rows that one statement of a search looks at."""
_PATIENCE = 1.0
"""Seconds after which a search answers with what it has found."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which audit records somebody wants; None matches everything."""

    occurred_from: datetime | None = None
    """Inclusive."""
    occurred_before: datetime | None = None
    """Exclusive."""
    action_prefix: str | None = None
    client_id: str | None = None
    target: str | None = None
    outcome: str | None = None
    tenant: str | None = None
    """For those who see more than one."""


@dataclass(frozen=True, slots=True)
class ChainedRecord:
    """An audit record with its place in the trail."""

    record: AuditRecord
    recorded_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some of the records that match, newest first."""

    records: Sequence[ChainedRecord]
    """May be fewer than asked for, even none, on a page that is not the last."""
    after: UUID | None
    """Where the next page goes on; None on the last."""


class AuditQueries:
    """Raises LogStoreUnavailable while the database is away, and QueryTooSlow."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock

    async def page(
        self, tenant: str | None, matching: AuditFilter, *, after: UUID | None, limit: int
    ) -> AuditPage:
        """At most `limit` records, newest first, that are older than the one called `after`.

        Where an action or an outcome is asked for, which no index knows, the index is walked in
        stretches, and after a second the page ends with what was found.

        Args:
            tenant: None for the records of all tenants and of none.
        """
        reach = _reach(tenant, matching)
        conditions = [*reach, *_on_rows(matching)]
        give_up = self._clock() + _PATIENCE
        stretch = _FIRST_STRETCH
        found: list[ChainedRecord] = []
        async with self._database.transaction() as connection:
            if len(conditions) == len(reach):
                # One more than asked for tells whether there is another page.
                query = _records([*conditions, *_older(after)], limit + 1)
                return _page(await _read(connection, query), limit, None)
            while True:
                older = _older(after)
                horizon = await connection.scalar(_horizon([*reach, *older], stretch))
                within = _from(horizon) if horizon else []
                query = _records([*conditions, *older, *within], limit + 1 - len(found))
                found += await _read(connection, query)
                if len(found) > limit or horizon is None or self._clock() >= give_up:
                    return _page(found, limit, horizon)
                after = horizon
                stretch = min(5 * stretch, _LONGEST_STRETCH)


def _reach(tenant: str | None, matching: AuditFilter) -> list[ColumnElement[bool]]:
    """What an index by time narrows down: for a tenant, a client, a target, or all."""
    conditions: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (_A.tenant, tenant),
            (_A.tenant, matching.tenant),
            (_A.client_id, matching.client_id),
            (_A.target, matching.target),
        )
        if value is not None
    ]
    if matching.occurred_from is not None:
        conditions.append(_A.occurred_at >= matching.occurred_from)
    if matching.occurred_before is not None:
        conditions.append(_A.occurred_at < matching.occurred_before)
    return conditions


def _on_rows(matching: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if matching.action_prefix is not None:
        # No pattern: what is a wildcard to LIKE is a letter here.
        conditions.append(func.starts_with(_A.action, matching.action_prefix))
    if matching.outcome is not None:
        conditions.append(_A.outcome == matching.outcome)
    return conditions


def _place_of(identifier: UUID) -> Any:
    return select(_A.occurred_at, _A.id).where(_A.id == identifier).scalar_subquery()


def _older(than: UUID | None) -> list[ColumnElement[bool]]:
    if than is None:
        return []
    # Nothing is older than a record that retention has taken.
    return [tuple_(_A.occurred_at, _A.id) < _place_of(than)]


def _from(horizon: UUID) -> list[ColumnElement[bool]]:
    return [tuple_(_A.occurred_at, _A.id) >= _place_of(horizon)]


def _horizon(reach: list[ColumnElement[bool]], rows: int) -> Select[Any]:
    """The id of the last of so many rows; none where there are fewer."""
    return select(_A.id).where(*reach).order_by(*_NEWEST_FIRST).offset(rows - 1).limit(1)


def _records(conditions: list[ColumnElement[bool]], limit: int) -> Select[Any]:
    columns = (_A.recorded_at, _A.sequence, *_RECORD)
    return select(*columns).where(*conditions).order_by(*_NEWEST_FIRST).limit(limit)


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[ChainedRecord]:
    return [
        ChainedRecord(AuditRecord(*record), recorded_at, sequence)
        for recorded_at, sequence, *record in await connection.execute(query)
    ]


def _page(found: list[ChainedRecord], limit: int, horizon: UUID | None) -> AuditPage:
    """A page of what was found, of which the one beyond the limit is left to the next."""
    if len(found) > limit:
        return AuditPage(found[:limit], found[limit - 1].record.id)
    return AuditPage(found, horizon)
