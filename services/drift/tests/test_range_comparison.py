"""Two ranges of time compared over the windows that began in each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weir.drift.v1 import drift_pb2 as pb

from .test_report_history import refused, times

WriteReference = Callable[..., Path]


def request(reference: pb.TimeRange, window: pb.TimeRange) -> pb.CompareRangesRequest:
    return pb.CompareRangesRequest(model="reviews", reference=reference, window=window)


@pytest.mark.parametrize("with_reference", [True, False])
async def test_ranges_are_compared_with_each_other(
    stub: Any, service: Any, world: Any, write_reference: WriteReference, with_reference: bool
) -> None:
    if with_reference:
        write_reference()
    await service.publish(*world.events(400))
    await service.publish(*world.events(250, extra_tokens=10))
    await service.consume()
    report = (await stub.CompareRanges(request(times(0, 400), times(401, 900)))).report
    assert report.reference.rows == 400
    assert report.reference.source.startswith("4 windows of 2026-11-02 09:00:00")
    # The one that is still open is in it.
    assert (report.window.rows, report.report_id) == (250, "")
    states = {verdict.signal: verdict.state for verdict in report.verdicts}
    assert states["input_tokens"] == pb.VERDICT_STATE_DRIFT
    assert states["label"] == pb.VERDICT_STATE_NO_DRIFT


async def test_range_like_the_other_has_not_drifted(stub: Any, service: Any, world: Any) -> None:
    await service.publish(*world.events(800))
    await service.consume()
    report = (await stub.CompareRanges(request(times(0, 400), times(401, 900)))).report
    assert report.recommendation.action == pb.RECOMMENDED_ACTION_NONE


async def test_comparison_comes_as_a_page(stub: Any, service: Any, world: Any) -> None:
    await service.publish(*world.events(400))
    await service.consume()
    page = pb.RenderComparisonRequest(
        comparison=request(times(0, 200), times(201, 900)), format=pb.REPORT_FORMAT_HTML
    )
    content = (await stub.RenderComparison(page)).rendered.content.decode()
    assert "2 windows of 2026-11-02 09:00:00 – 2026-11-02 09:03:20 UTC, 200 rows" in content


async def test_range_without_windows_says_what_is_kept(stub: Any, service: Any, world: Any) -> None:
    await service.publish(*world.events(200))
    await service.consume()
    error = await refused(stub.CompareRanges(request(times(-900, -1), times(0, 300))))
    assert error.code == "TIME_RANGE_INVALID"
    (violation,) = error.violations
    assert violation.field == "reference"
    assert "no window that is kept began in" in violation.description
    assert "2 are kept, of 2026-11-02 09:00:01 – 2026-11-02 09:03:20 UTC" in violation.description


async def test_range_of_few_rows_says_how_many_are_needed(
    stub: Any, service: Any, world: Any
) -> None:
    await service.publish(*world.events(110))
    await service.consume()
    error = await refused(stub.CompareRanges(request(times(0, 100), times(101, 300))))
    assert error.violations[0].description == "holds 10 predictions; 30 are needed"


@pytest.mark.parametrize(
    ("reference", "window", "field"),
    [
        (times(10, 10), times(20, 30), "reference"),
        (times(0, 10), times(30, 20), "window"),
        (times(0, 100), times(99, 200), "window"),
        (pb.TimeRange(), times(99, 200), "reference"),
    ],
)
async def test_ranges_that_are_none_are_refused(
    stub: Any, service: Any, world: Any, reference: Any, window: Any, field: str
) -> None:
    await service.publish(*world.events(1))
    error = await refused(stub.CompareRanges(request(reference, window)))
    assert (error.code, error.violations[0].field) == ("TIME_RANGE_INVALID", field)


async def test_time_that_is_none_is_refused(stub: Any) -> None:
    broken = times(0, 1)
    broken.to.seconds = 2**62
    error = await refused(stub.CompareRanges(request(broken, times(2, 3))))
    assert error.code == "TIME_RANGE_INVALID"
