"""Reports on windows of a tenant's own: the tenant sees them, and nobody else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from grpc.aio import AioRpcError

from drift.domain import ModelVersion
from drift.incident_desk import IncidentDesk
from drift.incident_gauges import OPEN, IncidentGauges
from servicekit.errors import NotFound, PermissionDenied
from servicekit.grpc_errors import from_rpc_error
from testkit.issuer import FakeIssuer
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

from .conftest import REVIEWS, START
from .serving import NOW, serving

WriteReference = Callable[..., Path]
Ask = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def ask(
    service: Any,
    world: Any,
    write_reference: WriteReference,
    tmp_path: Path,
    issuer: FakeIssuer,
) -> AsyncIterator[Ask]:
    """Asks a method after north's texts grew longer; `by` is the caller's tenant."""
    write_reference()
    for _ in range(350):
        await service.publish(
            *world.events(1, tenant="north", extra_tokens=10), *world.events(1, tenant="south")
        )
    await service.consume()
    async with serving(service, tmp_path, issuer) as channel:

        async def call(method: str, *scopes: str, by: str = "north", **fields: Any) -> Any:
            token = issuer.token("drift:read", *scopes, tenant=by)
            async with channel(token) as opened:
                stub: Any = drift_pb2_grpc.DriftServiceStub(opened)
                request = getattr(pb, f"{method}Request")(**fields)
                try:
                    return await getattr(stub, method)(request)
                except AioRpcError as error:
                    raise from_rpc_error(error, "drift") from error

        yield call


async def test_tenant_sees_its_own_windows_beside_those_of_all(ask: Ask) -> None:
    def length(report: pb.Report) -> Any:
        (verdict,) = [each for each in report.verdicts if each.signal == "input_tokens"]
        return verdict.state

    own = (await ask("GetReport", model="reviews", tenant="north")).report
    other = (await ask("GetReport", by="south", model="reviews", tenant="south")).report
    common = (await ask("GetReport", model="reviews")).report
    assert (own.tenant, other.tenant, common.tenant) == ("north", "south", "")
    assert (length(own), length(other)) == (pb.VERDICT_STATE_DRIFT, pb.VERDICT_STATE_NO_DRIFT)
    assert own.window.rows == 100
    mean = {each.name: each for each in own.signals}["input_tokens"].number.window.mean
    assert mean > 28

    listed = (await ask("ListReports", model="reviews", tenant="north")).reports
    assert [each.rows for each in listed] == [100] * 3
    kept = await ask("GetReport", model="reviews", tenant="north", report_id=listed[1].report_id)
    assert (kept.report.report_id, kept.report.tenant) == (listed[1].report_id, "north")
    page = await ask(
        "RenderReport", model="reviews", tenant="north", format=pb.REPORT_FORMAT_MARKDOWN
    )
    assert b"tenant north alone" in page.rendered.content
    html = await ask("RenderReport", model="reviews", tenant="north", format=pb.REPORT_FORMAT_HTML)
    assert b"tenant north alone" in html.rendered.content


async def test_another_tenants_windows_are_refused_whether_there_are_any_or_not(ask: Ask) -> None:
    times = {
        "reference": {"from": START, "to": NOW},
        "window": {"from": NOW, "to": NOW.replace(hour=23)},
    }
    listed = (await ask("ListReports", model="reviews", tenant="north")).reports
    for method, fields in (
        ("GetReport", {}),
        ("GetReport", {"report_id": listed[0].report_id}),
        ("RenderReport", {"format": pb.REPORT_FORMAT_HTML}),
        ("ListReports", {}),
        ("CompareRanges", times),
    ):
        for tenant in ("north", "nobody"):
            with pytest.raises(PermissionDenied) as refused:
                await ask(method, by="south", model="reviews", tenant=tenant, **fields)
            assert refused.value.code == "DELEGATION_DENIED"
            assert tenant not in str(refused.value)


async def test_window_of_a_tenant_is_not_found_among_those_of_all(ask: Ask) -> None:
    (newest, *_) = (await ask("ListReports", model="reviews", tenant="north")).reports
    for by, tenant in (("north", ""), ("south", "south")):
        with pytest.raises(NotFound) as refused:
            await ask(
                "GetReport", by=by, model="reviews", tenant=tenant, report_id=newest.report_id
            )
        assert refused.value.code == "REPORT_UNKNOWN"


async def test_gateway_asks_on_behalf_of_a_tenant(ask: Ask) -> None:
    answer = await ask("GetReport", "delegate", by="weir", model="reviews", tenant="south")
    assert answer.report.tenant == "south"


async def test_tenant_without_windows_of_its_own_is_told_so(ask: Ask) -> None:
    for method in ("GetReport", "ListReports"):
        with pytest.raises(NotFound) as refused:
            await ask(method, by="tiny", model="reviews", tenant="tiny")
        assert refused.value.code == "TENANT_NOT_WATCHED"


async def test_ranges_of_a_tenants_windows_are_compared(ask: Ask) -> None:
    listed = (await ask("ListReports", model="reviews", tenant="north")).reports
    *_, second, first = [each.first_predicted_at for each in listed]
    answer = await ask(
        "CompareRanges",
        model="reviews",
        tenant="north",
        reference={"from": first, "to": second},
        window={"from": second, "to": NOW},
    )
    assert answer.report.tenant == "north"
    assert answer.report.reference.rows == 100


async def test_incidents_of_a_tenant_are_shown_to_it_alone(ask: Ask, service: Any) -> None:
    desk = IncidentDesk(service.store, incidents_stream="weir:incidents", clock=lambda: START)

    async def seen_by(tenant: str) -> set[str]:
        page, _ = await desk.page(tenant, model="", state=None, limit=0, cursor="")
        return {shown.incident.tenant for shown in page}

    assert "north" in await seen_by("north")
    assert "north" not in await seen_by("south")
    page, _ = await desk.page("north", model="", state=None, limit=0, cursor="")
    own = next(shown for shown in page if shown.incident.tenant == "north")
    identifier = str(own.incident.id)
    with pytest.raises(NotFound):
        await desk.acknowledge("south", identifier, "somebody")
    await desk.acknowledge("north", identifier, "on-call")
    found = await desk.find("north", identifier)
    assert (found.about, found.incident.acknowledged_by) == (
        ModelVersion("reviews", "1"),
        "on-call",
    )


async def test_metrics_tell_of_a_tenants_incidents_without_its_name(ask: Ask, service: Any) -> None:
    await IncidentGauges(service.store, clock=lambda: START).observe()
    shown = [
        sample.labels
        for family in OPEN.collect()
        for sample in family.samples
        if sample.labels["model"] == REVIEWS.model
    ]
    assert "tenant" in {labels["scope"] for labels in shown}
    assert "north" not in repr(shown)
