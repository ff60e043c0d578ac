"""Takes requests to erase a person, and tells how far they have come."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import insert, select

from prediction_log.audit_facts import AuditFacts
from prediction_log.database import Database
from prediction_log.domain import Erasure
from prediction_log.erased_subjects import hold_off_intake
from prediction_log.errors import ErasureNotFound
from prediction_log.subject_keys import destroy_key
from prediction_log.tables import ERASURES
from servicekit.identifiers import time_of

_E = ERASURES.c
COLUMNS = [_E.id, _E.tenant, _E.subject_digest, _E.requested_at, _E.completed_at, _E.redacted]


class Erasures:
    """The table of erasures, as callers see it."""

    def __init__(self, database: Database, audit: AuditFacts, new_id: Callable[[], UUID]) -> None:
        self._database = database
        self._audit = audit
        self._new_id = new_id

    async def begin(
        self, tenant: str, client_id: str, subject_digest: bytes, *, client_address: str = ""
    ) -> Erasure:
        """Destroys the subject's key and has the rest redacted; returns once both are certain.

        No prediction up to this moment gets a private part any more, however late it comes.

        Raises:
            EventStreamUnavailable: it cannot be put on the audit trail; nothing was erased.
            LogStoreUnavailable: nothing was erased, as far as is known.
        """
        identifier = self._new_id()
        erasure = Erasure(identifier, tenant, subject_digest, time_of(identifier))
        async with self._database.transaction() as connection:
            await hold_off_intake(connection)
            await connection.execute(
                insert(ERASURES).values(
                    id=erasure.id,
                    tenant=tenant,
                    subject_digest=subject_digest,
                    requested_at=erasure.requested_at,
                )
            )
            await destroy_key(connection, tenant, subject_digest)
            await self._audit.publish(
                "subject.erase",
                tenant=tenant,
                client_id=client_id,
                client_address=client_address,
                target=identifier,
            )
        return erasure

    async def find(self, tenant: str, identifier: UUID) -> Erasure:
        """One of the tenant's erasures.

        Raises:
            ErasureNotFound: the tenant has none of that id.
            LogStoreUnavailable: the database is away.
        """
        query = select(*COLUMNS).where(_E.tenant == tenant, _E.id == identifier)
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise ErasureNotFound("There is no such erasure.")
        return Erasure(*row)
