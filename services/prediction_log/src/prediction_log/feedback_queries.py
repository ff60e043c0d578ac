"""Finds the feedback on a prediction again: the history, not only the latest."""

from uuid import UUID

from sqlalchemy import RowMapping, select, tuple_

from prediction_log.database import Database
from prediction_log.domain import FeedbackRecord
from prediction_log.prediction_queries import FEEDBACK_COLUMNS, LATEST_FIRST
from prediction_log.tables import FEEDBACK

_F = FEEDBACK.c


class FeedbackQueries:
    """Reads one tenant at a time; raises what PredictionQueries does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: str, identifier: UUID) -> FeedbackRecord | None:
        """The tenant's feedback of that id."""
        query = select(*FEEDBACK_COLUMNS).where(_F.id == identifier, _F.tenant == tenant)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return _record(row) if row else None

    async def page(
        self, tenant: str, prediction_id: UUID, *, after: UUID | None, limit: int
    ) -> list[FeedbackRecord]:
        """At most `limit` on one prediction, newest first, older than the one called `after`."""
        query = (
            select(*FEEDBACK_COLUMNS)
            .where(_F.tenant == tenant, _F.prediction_id == prediction_id)
            .order_by(*LATEST_FIRST)
            .limit(limit)
        )
        if after is not None:
            last = select(_F.given_at, _F.id).where(_F.id == after).scalar_subquery()
            query = query.where(tuple_(_F.given_at, _F.id) < last)
        async with self._database.transaction() as connection:
            return [_record(row) for row in (await connection.execute(query)).mappings()]


def _record(row: RowMapping) -> FeedbackRecord:
    return FeedbackRecord(**row)
