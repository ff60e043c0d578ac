"""What the audit trail tells."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_RECORD: dict[str, Any] = {
    "event_id": "0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a33",
    "occurred_at": "2026-11-20T12:00:00Z",
    "recorded_at": "2026-11-20T12:00:00.250000Z",
    "action": "token.issue",
    "outcome": "refused",
    "client_id": "checkout",
    "tenant": "shop",
    "client_address": "198.51.100.7",
    "request_id": "0199f3c26f0a7c1e9d552b8f4c6e0a34",
    "reason": "invalid_client",
    "target": None,
    "sequence": 4711,
}


class AuditRecord(BaseModel):
    """Somebody did, or was refused, something."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RECORD]})

    event_id: str
    occurred_at: datetime
    recorded_at: datetime = Field(description="When the log wrote it.")
    action: str = Field(examples=["token.issue"])
    outcome: str = Field(examples=["allowed", "refused"])
    client_id: str | None = Field(
        description="Who tried, as far as it is known; a claim where it was refused."
    )
    tenant: str | None
    client_address: str | None = Field(description="Where the request came from.")
    request_id: str | None
    reason: str | None = Field(description="Why it was refused, as a code.")
    target: str | None = Field(
        description="What it was done to. `(57 more)` at its end: so many refusals more of the "
        "same kind came within a minute after one that was told."
    )
    sequence: int = Field(
        description="Its place in the hash chain that `verify-audit` walks, from 1 without gaps."
    )


class AuditRecords(BaseModel):
    """A page, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"records": [_RECORD], "next_cursor": None}]}
    )

    records: list[AuditRecord]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
