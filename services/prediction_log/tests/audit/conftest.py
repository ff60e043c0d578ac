"""The audit trail of a database, and a key that signs its checkpoints."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from prediction_log.audit_trail import AuditTrail
from prediction_log.audit_verification import ChainWalk, Report
from prediction_log.audit_writer import add_batch, chain_head
from prediction_log.domain import AuditRecord
from prediction_log.key_making import AUDIT_PUBLIC_KEY, AUDIT_SIGNING_KEY, create_keys
from prediction_log.record_store import RecordStore, record_writers
from servicekit.identifiers import new_id, time_of


class TrailUnderTest:
    """What tests write to a trail and ask of it."""

    def __init__(self, log: Any) -> None:
        self.log = log

    def record(self, **changes: Any) -> AuditRecord:
        identifier = new_id()
        values: dict[str, Any] = {
            "id": identifier,
            "occurred_at": time_of(identifier),
            "action": "token.issue",
            "outcome": "allowed",
            "client_id": "client-1",
            "tenant": None,
            "client_address": "198.51.100.7",
            "request_id": "",
            "reason": None,
            "target": None,
        }
        return AuditRecord(**values | changes)

    async def write(self, *records: AuditRecord, log: Any = None) -> int:
        store = RecordStore((log or self.log).database, record_writers())
        return await store.insert(records)

    async def write_at(self, moment: datetime, *records: AuditRecord) -> None:
        """A batch, as if it had been written at that moment."""
        async with self.log.database.transaction() as connection:
            await add_batch(connection, await chain_head(connection), records, moment)

    async def verified(self, **options: Any) -> Report:
        return await ChainWalk(AuditTrail(self.log.database), **options).run()


@pytest.fixture
def trail(log: Any) -> TrailUnderTest:
    return TrailUnderTest(log)


@pytest.fixture
def audit_keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key that signs checkpoints, and the public one."""
    create_keys(tmp_path)
    return tmp_path / AUDIT_SIGNING_KEY, tmp_path / AUDIT_PUBLIC_KEY
