"""Reads the text of one prediction, for a caller who may, and leaves a trace of it."""

from uuid import UUID

import structlog
from sqlalchemy import select

from prediction_log.audit_facts import AuditFacts
from prediction_log.database import Database
from prediction_log.errors import InputDamaged, PrivacyNotConfigured
from prediction_log.subject_keys import SubjectKeys
from prediction_log.tables import PREDICTION_LOGS

_log = structlog.get_logger(__name__)
_P = PREDICTION_LOGS.c


class InputReader:
    """Gives out texts, one at a time; lists never hold any.

    Args:
        keys: None where the service has no keys; then encrypted texts cannot be read.
    """

    def __init__(self, database: Database, keys: SubjectKeys | None, audit: AuditFacts) -> None:
        self._database = database
        self._keys = keys
        self._audit = audit

    async def read(
        self, tenant: str, client_id: str, prediction_id: UUID, *, client_address: str = ""
    ) -> str | None:
        """The text; None when there is none, or none any more.

        Raises:
            EventStreamUnavailable: the reading cannot be put on the audit trail.
            LogStoreUnavailable: the database is away.
            PrivacyNotConfigured, MasterKeyMissing, InputDamaged: the text is there and cannot be
                read.
        """
        await self._audit.publish(
            "input.read",
            tenant=tenant,
            client_id=client_id,
            client_address=client_address,
            target=prediction_id,
        )
        query = select(_P.input_text, _P.input_ciphertext, _P.input_key_id).where(
            _P.tenant == tenant, _P.id == prediction_id
        )
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None or row.input_ciphertext is None:
                return None if row is None else row.input_text
            if self._keys is None:
                raise PrivacyNotConfigured("The log has no keys to read texts with.")
            key = await self._keys.find(connection, tenant, row.input_key_id)
        if key is None:
            return None
        try:
            return key.decrypt(row.input_ciphertext, tenant, prediction_id)
        except InputDamaged:
            _log.error("input_damaged", prediction_id=str(prediction_id))
            raise
