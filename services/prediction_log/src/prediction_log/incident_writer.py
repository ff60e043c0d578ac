"""Writes changes of drift incidents: each revision once, and the incident as the highest has it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from prediction_log.domain import IncidentChange
from prediction_log.staged_copy import StagedCopy
from prediction_log.tables import MONITORING_ALERT_CHANGES, MONITORING_ALERTS


class IncidentWriter:
    """Changes may come in any order and any number of times: the tables end the same."""

    def __init__(self) -> None:
        self._copy = StagedCopy(IncidentChange, MONITORING_ALERT_CHANGES)
        names = self._copy.columns
        changes, staged = MONITORING_ALERT_CHANGES.c, self._copy.staging.c
        # From the history, not from what is staged: of two different tellings of one revision the
        # first stays in both tables.
        latest = (
            select(*(changes[name] for name in names))
            .where(changes.id.in_(select(staged.id)))
            .ext(distinct_on(changes.id))
            .order_by(changes.id, changes.revision.desc())
        )
        upsert = insert(MONITORING_ALERTS).from_select(names, latest)
        self._upsert = upsert.on_conflict_do_update(
            index_elements=[MONITORING_ALERTS.c.id],
            set_={name: upsert.excluded[name] for name in names if name != "id"},
            where=MONITORING_ALERTS.c.revision < upsert.excluded.revision,
        )

    async def write(self, connection: AsyncConnection, records: Sequence[IncidentChange]) -> int:
        """Returns how many revisions were not there before.

        Raises:
            RejectedData: a value does not fit its column.
        """
        written = await self._copy.write(connection, records)
        await connection.execute(self._upsert)
        return written
