"""What the trail tells those who may read it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from redis.asyncio import Redis

from prediction_log import audit_queries
from prediction_log.audit_queries import AuditFilter, AuditQueries
from servicekit.errors import InvalidInput, PermissionDenied
from servicekit.identifiers import new_id
from testkit.issuer import FakeIssuer
from weir.events.v1 import events_pb2
from weir.predictions.v1.audit_pb2 import AuditFilter as Matching
from weir.predictions.v1.audit_pb2 import ListAuditRecordsRequest

Call = Callable[..., Any]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def stamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


@pytest.fixture
def reader(issuer: FakeIssuer) -> str:
    return issuer.token("audit:read")


async def filled(trail: Any) -> None:
    """Of each tenant ten, one a minute; every third is a refusal."""
    await trail.write(
        *(
            trail.record(
                id=new_id(),
                occurred_at=NOON + timedelta(minutes=number),
                action=("token.issue", "token.revoke", "client.create")[number % 3],
                outcome="refused" if number % 3 == 0 else "allowed",
                tenant=tenant,
                client_id=f"client-{number % 2}",
                target=f"target-{number}",
                request_id=str(number),
            )
            for tenant in ("tenant-1", "tenant-2", None)
            for number in range(10)
        )
    )


async def test_records_come_newest_first_with_all_that_is_known(
    call: Call, trail: Any, reader: str
) -> None:
    await filled(trail)
    answer = await call(ListAuditRecordsRequest(limit=4), token=reader)
    assert [record.request_id for record in answer.records] == ["9", "8", "7", "6"]
    newest = answer.records[0]
    assert newest.occurred_at.ToDatetime(UTC) == NOON + timedelta(minutes=9)
    assert (newest.action, newest.outcome, newest.client_id) == (
        "token.issue",
        "refused",
        "client-1",
    )
    assert (newest.tenant, newest.target) == ("tenant-1", "target-9")
    assert (newest.client_address, newest.sequence > 0) == ("198.51.100.7", True)
    assert answer.next_cursor


async def test_pages_hold_each_record_once_and_end(call: Call, trail: Any, reader: str) -> None:
    await filled(trail)
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await call(ListAuditRecordsRequest(limit=3, cursor=cursor), token=reader)
        seen += [record.request_id for record in answer.records]
        # What comes meanwhile is newer.
        await trail.write(trail.record(tenant="tenant-1", request_id="new"))
        cursor = answer.next_cursor
        if not cursor:
            break
    assert seen == [str(number) for number in range(9, -1, -1)]


@pytest.mark.parametrize(
    ("matching", "found"),
    [
        (Matching(action_prefix="token."), "9 7 6 4 3 1 0"),
        (Matching(action_prefix="token.i"), "9 6 3 0"),
        (Matching(action_prefix="%"), ""),
        (Matching(action_prefix="'; DROP TABLE audit_log; --"), ""),
        (Matching(outcome="refused"), "9 6 3 0"),
        (Matching(client_id="client-1"), "9 7 5 3 1"),
        (Matching(client_id="client-1", outcome="allowed"), "7 5 1"),
        (Matching(target="target-5"), "5"),
        (Matching(tenant="tenant-2"), ""),
        (Matching(tenant="tenant-1", target="target-2"), "2"),
        (
            Matching(
                occurred_from=stamp(NOON + timedelta(minutes=2)),
                occurred_before=stamp(NOON + timedelta(minutes=5)),
            ),
            "4 3 2",
        ),
    ],
)
async def test_filters(call: Call, trail: Any, reader: str, matching: Matching, found: str) -> None:
    await filled(trail)
    answer = await call(ListAuditRecordsRequest(filter=matching), token=reader)
    assert [record.request_id for record in answer.records] == found.split()
    assert not answer.next_cursor


async def test_search_that_takes_long_answers_with_what_it_has(
    log: Any, trail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(trail)
    monkeypatch.setattr(audit_queries, "_FIRST_STRETCH", 2)
    monkeypatch.setattr(audit_queries, "_LONGEST_STRETCH", 2)
    seconds = iter(range(1000))
    queries = AuditQueries(log.database, clock=lambda: next(seconds))
    wanted = AuditFilter(action_prefix="client.")
    seen, after, pages = [], None, 0
    while True:
        page = await queries.page("tenant-1", wanted, after=after, limit=5)
        seen += [found.record.request_id for found in page.records]
        pages += 1
        if (after := page.after) is None:
            break
    assert (seen, pages) == (["8", "5", "2"], 6)


async def test_platforms_own_administrators_see_all_tenants(
    call: Call, trail: Any, issuer: FakeIssuer
) -> None:
    await filled(trail)
    everybody = ListAuditRecordsRequest(all_tenants=True)
    of_platform = issuer.token("audit:read", "admin", tenant="weir")
    answer = await call(everybody, token=of_platform)
    assert {record.tenant for record in answer.records} == {"tenant-1", "tenant-2", ""}
    one = ListAuditRecordsRequest(all_tenants=True, filter=Matching(tenant="tenant-2"))
    answer = await call(one, token=of_platform)
    assert {record.tenant for record in answer.records} == {"tenant-2"}
    for token in (
        issuer.token("audit:read", "admin"),
        issuer.token("audit:read", tenant="weir"),
        issuer.token("audit:read", "delegate"),
    ):
        with pytest.raises(PermissionDenied) as refused:
            await call(everybody, token=token)
        assert refused.value.code == "ALL_TENANTS_DENIED"


async def test_delegate_reads_for_those_whom_it_speaks_for(
    call: Call, trail: Any, issuer: FakeIssuer, redis: Redis
) -> None:
    await filled(trail)
    gateway = issuer.token("audit:read", "delegate", tenant="weir", client_id="weir-gateway")
    request = ListAuditRecordsRequest(
        tenant="tenant-2", client_id="auditor", client_address="203.0.113.9"
    )
    answer = await call(request, token=gateway)
    assert {record.tenant for record in answer.records} == {"tenant-2"}
    fact = await last_fact(redis)
    assert (fact.client_id, fact.tenant) == ("auditor", "tenant-2")
    assert fact.client_address == "203.0.113.9"


async def test_each_page_is_on_the_trail(call: Call, trail: Any, reader: str, redis: Redis) -> None:
    await call(ListAuditRecordsRequest(client_address="203.0.113.9"), token=reader)
    fact = await last_fact(redis)
    assert (fact.action, fact.client_id, fact.tenant) == ("audit.read", "client-1", "tenant-1")
    # Whoever speaks for nobody else is not believed about its address; a socket file has none.
    assert fact.client_address == ""
    assert await redis.xlen("weir:audit") == 1


@pytest.mark.parametrize(
    "request_",
    [
        ListAuditRecordsRequest(limit=501),
        ListAuditRecordsRequest(cursor="nonsense"),
        ListAuditRecordsRequest(filter=Matching(outcome="perhaps")),
        ListAuditRecordsRequest(filter=Matching(action_prefix="a\0")),
        ListAuditRecordsRequest(filter=Matching(target="x" * 129)),
        ListAuditRecordsRequest(filter=Matching(occurred_from=Timestamp(seconds=-1))),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_no_trace(
    call: Call, reader: str, redis: Redis, request_: ListAuditRecordsRequest
) -> None:
    with pytest.raises(InvalidInput):
        await call(request_, token=reader)
    assert await redis.xlen("weir:audit") == 0


async def test_cursor_of_another_tenant_is_refused(
    call: Call, trail: Any, reader: str, issuer: FakeIssuer
) -> None:
    await filled(trail)
    cursor = (await call(ListAuditRecordsRequest(limit=1), token=reader)).next_cursor
    stranger = issuer.token("audit:read", tenant="tenant-2")
    with pytest.raises(InvalidInput):
        await call(ListAuditRecordsRequest(limit=1, cursor=cursor), token=stranger)


async def last_fact(redis: Redis) -> events_pb2.AuditRecorded:
    ((_, fields),) = await redis.xrevrange("weir:audit", count=1)
    return events_pb2.AuditRecorded.FromString(fields[b"data"])
