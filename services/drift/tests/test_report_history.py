"""Closed windows that are kept: their reports, since when signals drift, comparisons of times."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from grpc.aio import AioRpcError

from drift.domain import ModelVersion, Population
from drift.history_store import HistoryStore
from drift.window_history import history_key
from servicekit.grpc_errors import from_rpc_error
from weir.drift.v1 import drift_pb2 as pb

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
REVIEWS = ModelVersion("reviews", "1")
WriteReference = Callable[..., Path]


def times(first: int, last: int) -> pb.TimeRange:
    """The predictions of these numbers; each comes a second after the one before."""
    found = pb.TimeRange()
    getattr(found, "from").FromDatetime(START + timedelta(seconds=first))
    found.to.FromDatetime(START + timedelta(seconds=last))
    return found


async def refused(call: Any) -> Any:
    with pytest.raises(AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value, "drift")


async def summaries(stub: Any, version: str = "") -> list[pb.ReportSummary]:
    answer = await stub.ListReports(pb.ListReportsRequest(model="reviews", version=version))
    return list(answer.reports)


async def test_closed_windows_are_listed_newest_first(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(100), *world.events(130, extra_tokens=10))
    await service.consume()
    newest, oldest = await summaries(stub)
    assert (newest.rows, list(newest.drifted), newest.judged) == (100, ["input_tokens"], True)
    assert list(oldest.drifted) == []
    assert oldest.last_predicted_at.ToDatetime() < newest.first_predicted_at.ToDatetime()
    measured = [each.measurement_id for each in await service.measurements()]
    assert measured == [oldest.report_id, newest.report_id]


async def test_report_on_a_closed_window_says_what_it_said(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(100, extra_tokens=10), *world.events(150))
    await service.consume()
    _, drifted = await summaries(stub)
    request = pb.GetReportRequest(model="reviews", report_id=drifted.report_id)
    report = (await stub.GetReport(request)).report
    assert (report.report_id, report.window.rows) == (drifted.report_id, 100)
    assert report.window.last_predicted_at == drifted.last_predicted_at
    states = {verdict.signal: verdict.state for verdict in report.verdicts}
    assert states["input_tokens"] == pb.VERDICT_STATE_DRIFT
    page = pb.RenderReportRequest(
        model="reviews", report_id=drifted.report_id, format=pb.REPORT_FORMAT_HTML
    )
    content = (await stub.RenderReport(page)).rendered.content
    assert drifted.report_id.encode() in content


async def test_drift_is_dated_to_the_first_window_in_a_row(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(100), *world.events(250, extra_tokens=10))
    await service.consume()
    report = (await stub.GetReport(pb.GetReportRequest(model="reviews"))).report
    (length,) = [each for each in report.verdicts if each.signal == "input_tokens"]
    assert (length.state, length.windows) == (pb.VERDICT_STATE_DRIFT, 3)
    assert length.since.ToDatetime(UTC) == START + timedelta(seconds=101)
    assert "3 windows in a row" in report.recommendation.reasons[0]


async def test_report_on_the_last_closed_window_is_not_its_own_predecessor(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(105, extra_tokens=10))
    await service.consume()
    report = (await stub.GetReport(pb.GetReportRequest(model="reviews"))).report
    (summary,) = await summaries(stub)
    assert report.report_id == summary.report_id
    (length,) = [each for each in report.verdicts if each.signal == "input_tokens"]
    assert length.windows == 1


async def test_only_the_newest_windows_are_kept(service: Any, world: Any) -> None:
    service.monitor._closer._kept_windows = 3
    for _ in range(3):
        await service.publish(*world.events(250))
        await service.consume()
    history = HistoryStore(service.redis)
    kept = await history.summaries(Population(REVIEWS))
    assert len(kept) == 3
    assert kept[0].last_predicted_at == START + timedelta(seconds=700)
    assert await service.redis.hlen(history_key(Population(REVIEWS))) == 6
    assert not any(summary.judged for summary in kept)


async def test_windows_of_forgotten_versions_are_forgotten(service: Any, world: Any) -> None:
    for number in range(11):
        version = ModelVersion("reviews", str(number))
        await service.publish(*world.events(100, version))
        await service.consume()
    history = HistoryStore(service.redis)
    assert await history.summaries(ModelVersion("reviews", "0")) == []
    assert len(await history.summaries(ModelVersion("reviews", "10"))) == 1


async def test_window_that_cannot_be_read_is_unknown(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(100))
    await service.consume()
    (kept,) = await summaries(stub)
    for broken in (b"no zlib", b"\x78\x01\x03\x00\x00\x00\x00\x01"):
        await service.redis.hset(history_key(Population(REVIEWS)), kept.report_id, broken)
        request = pb.GetReportRequest(model="reviews", report_id=kept.report_id)
        assert (await refused(stub.GetReport(request))).code == "REPORT_UNKNOWN"


@pytest.mark.parametrize("report_id", ["0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11", "summary:", "x"])
async def test_window_that_is_not_kept_is_unknown(
    stub: Any, write_reference: WriteReference, report_id: str
) -> None:
    write_reference()
    request = pb.GetReportRequest(model="reviews", report_id=report_id)
    assert (await refused(stub.GetReport(request))).code == "REPORT_UNKNOWN"


async def test_report_of_another_version_is_found_by_its_name_alone(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    second = ModelVersion("reviews", "2")
    write_reference()
    write_reference(second)
    await service.publish(*world.events(100), *world.events(40, second))
    await service.consume()
    (kept,) = await summaries(stub, "1")
    request = pb.GetReportRequest(model="reviews", report_id=kept.report_id)
    assert (await stub.GetReport(request)).report.model_version == "1"
    request.version = "2"
    assert (await refused(stub.GetReport(request))).code == "REPORT_UNKNOWN"
