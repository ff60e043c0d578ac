"""AuditService over gRPC."""

from typing import Any

from prediction_log.audit_facts import AuditFacts
from prediction_log.audit_queries import AuditFilter, AuditQueries, ChainedRecord
from prediction_log.converters import invalid, text_from
from prediction_log.cursors import make_cursor, read_cursor
from prediction_log.filter_conversion import moment_from
from prediction_log.tenancy import address_of, client_of, sees_all_tenants, tenant_of
from servicekit import request_context
from servicekit.timestamps import to_timestamp
from weir.predictions.v1 import audit_pb2, audit_pb2_grpc

SERVICE = audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name
SCOPES = {f"/{SERVICE}/ListAuditRecords": "audit:read"}
DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_OUTCOMES = ("", "allowed", "refused")


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Answers for the tenant that the caller belongs to or speaks for, or for all."""

    def __init__(self, queries: AuditQueries, audit: AuditFacts) -> None:
        self._queries = queries
        self._audit = audit

    async def ListAuditRecords(
        self, request: audit_pb2.ListAuditRecordsRequest, context: Any
    ) -> audit_pb2.ListAuditRecordsResponse:
        """A page, newest first; that it was read is on the stream before it is given out."""
        caller = request_context.principal.get()
        tenant = text_from("tenant", tenant_of(caller, request.tenant)) or ""
        everybody = request.all_tenants and sees_all_tenants(caller, tenant)
        matching = _filter_from(request.filter)
        limit = request.limit or DEFAULT_LIMIT
        if limit > MAX_LIMIT:
            raise invalid("limit", f"is above {MAX_LIMIT}")
        listed = ("audit", everybody, matching)
        after = read_cursor(tenant, listed, request.cursor) if request.cursor else None
        client_id = client_of(caller, request.client_id)
        await self._audit.publish(
            "audit.read",
            tenant=tenant,
            client_id=text_from("client_id", client_id) or client_id,
            client_address=address_of(caller, request.client_address, context.peer()),
        )
        page = await self._queries.page(
            None if everybody else tenant, matching, after=after, limit=limit
        )
        return audit_pb2.ListAuditRecordsResponse(
            records=[_to_record(chained) for chained in page.records],
            next_cursor=make_cursor(tenant, listed, page.after) if page.after else "",
        )


def _filter_from(asked: audit_pb2.AuditFilter) -> AuditFilter:
    if asked.outcome not in _OUTCOMES:
        raise invalid("filter.outcome", "is neither allowed nor refused")
    return AuditFilter(
        occurred_from=moment_from(asked, "occurred_from", "filter."),
        occurred_before=moment_from(asked, "occurred_before", "filter."),
        action_prefix=text_from("filter.action_prefix", asked.action_prefix),
        client_id=text_from("filter.client_id", asked.client_id),
        target=text_from("filter.target", asked.target),
        outcome=asked.outcome or None,
        tenant=text_from("filter.tenant", asked.tenant),
    )


def _to_record(chained: ChainedRecord) -> audit_pb2.AuditRecord:
    record = chained.record
    return audit_pb2.AuditRecord(
        event_id=str(record.id),
        occurred_at=to_timestamp(record.occurred_at),
        recorded_at=to_timestamp(chained.recorded_at),
        action=record.action,
        outcome=record.outcome,
        client_id=record.client_id or "",
        tenant=record.tenant or "",
        client_address=record.client_address or "",
        request_id=record.request_id or "",
        reason=record.reason or "",
        target=record.target or "",
        sequence=chained.sequence,
    )
