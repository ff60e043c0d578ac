"""Reports for people, over gRPC."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grpc.aio import AioRpcError

from servicekit.grpc_errors import from_rpc_error
from weir.drift.v1 import drift_pb2 as pb

WriteReference = Callable[..., Path]


async def test_newest_window_comes_as_a_page_and_as_a_text(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(80, extra_tokens=10))
    await service.consume()
    page = (
        await stub.RenderReport(
            pb.RenderReportRequest(model="reviews", format=pb.REPORT_FORMAT_HTML)
        )
    ).rendered
    assert b"<h1>reviews, version 1</h1>" in page.content
    assert len(page.style_sha256) == 44
    text = (
        await stub.RenderReport(
            pb.RenderReportRequest(model="reviews", format=pb.REPORT_FORMAT_MARKDOWN)
        )
    ).rendered
    assert text.content.startswith(b"# Drift of reviews, version 1")
    assert text.style_sha256 == ""
    assert text.digest != page.digest


async def test_report_holds_what_the_page_shows(
    stub: Any, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(80, extra_tokens=10))
    await service.consume()
    report = (await stub.GetReport(pb.GetReportRequest(model="reviews"))).report
    assert report.recommendation.action == pb.RECOMMENDED_ACTION_INVESTIGATE
    assert "input_tokens" in report.recommendation.reasons[0]
    assert {part.signal for part in report.slices} == {"input_tokens"}
    (shape,) = [shape for shape in report.shapes if shape.signal == "input_tokens"]
    assert len(shape.edges) == len(shape.window) + 1 == len(shape.reference) + 1
    (length,) = [each for each in report.verdicts if each.signal == "input_tokens"]
    assert length.windows == 1
    assert length.since == report.window.first_predicted_at


async def test_format_that_is_none_is_refused(stub: Any, write_reference: WriteReference) -> None:
    write_reference()
    with pytest.raises(AioRpcError) as refused:
        await stub.RenderReport(pb.RenderReportRequest(model="reviews"))
    assert from_rpc_error(refused.value, "drift").code == "REPORT_FORMAT_UNKNOWN"
