"""The audit trail in the log, as the gateway sees it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import grpc

from gateway.audit_answers import AuditRecord, AuditRecords
from gateway.prediction_log_client import timestamp_of
from gateway.upstream import answer_of
from weir.predictions.v1 import audit_pb2 as pb
from weir.predictions.v1 import audit_pb2_grpc

_SERVICE = "prediction_log"


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is set must match; what is empty matches everything."""

    occurred_from: datetime | None = None
    """Inclusive."""
    occurred_before: datetime | None = None
    """Exclusive."""
    action: str = ""
    """How it begins."""
    client_id: str = ""
    target: str = ""
    outcome: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class AuditReader:
    """Who reads; the log puts it on the trail."""

    client_id: str
    tenant: str
    client_address: str
    all_tenants: bool
    """Whether they run the platform."""


class AuditClient:
    """Calls the log over a channel that carries the gateway's token; each call names the tenant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: audit_pb2_grpc.AuditServiceAsyncStub = audit_pb2_grpc.AuditServiceStub(channel)

    async def list_page(
        self, reader: AuditReader, query: AuditQuery, *, limit: int, cursor: str
    ) -> AuditRecords:
        """A page of the records that match, newest first.

        Args:
            cursor: `next_cursor` of the page before; empty for the first.

        Raises:
            InvalidInput: the cursor, or something else, is none that the log gave out.
            ServiceError: the log is away, late or broken, or nobody can be told of the reading.
        """
        request = pb.ListAuditRecordsRequest(
            tenant=reader.tenant,
            all_tenants=reader.all_tenants,
            client_id=reader.client_id,
            client_address=reader.client_address,
            filter=pb.AuditFilter(
                occurred_from=timestamp_of(query.occurred_from),
                occurred_before=timestamp_of(query.occurred_before),
                action_prefix=query.action,
                client_id=query.client_id,
                target=query.target,
                outcome=query.outcome,
                tenant=query.tenant,
            ),
            limit=limit,
            cursor=cursor,
        )
        answer = await answer_of(_SERVICE, self._stub.ListAuditRecords(request))
        return AuditRecords(
            records=[_record(record) for record in answer.records],
            next_cursor=answer.next_cursor or None,
        )


def _record(message: pb.AuditRecord) -> AuditRecord:
    return AuditRecord(
        event_id=message.event_id,
        occurred_at=message.occurred_at.ToDatetime(UTC),
        recorded_at=message.recorded_at.ToDatetime(UTC),
        action=message.action,
        outcome=message.outcome,
        client_id=message.client_id or None,
        tenant=message.tenant or None,
        client_address=message.client_address or None,
        request_id=message.request_id or None,
        reason=message.reason or None,
        target=message.target or None,
        sequence=message.sequence,
    )
