"""Reports for people, over gRPC."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider

from drift.grpc_api import SCOPES, DriftServicer
from drift.report_document import ReportComposer
from drift.reporter import Reporter
from drift.version_state import WindowSize
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_client import open_channel
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
WriteReference = Callable[..., Path]


@pytest_asyncio.fixture
async def stub(service: Any, tmp_path: Path, issuer: FakeIssuer) -> AsyncIterator[Any]:
    """Calls the whole service with a token that may read."""
    address = f"unix:{tmp_path}/pages.sock"
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes=SCOPES,
        tracer_provider=tracer_provider,
    )
    reporter = Reporter(
        service.store,
        service.references,
        ReportComposer(service.decisions, minimum_rows=30),
        minimum_rows=30,
        window_size=WindowSize(100),
        clock=lambda: NOW,
    )
    drift_pb2_grpc.add_DriftServiceServicer_to_server(DriftServicer(reporter), server.grpc)

    async def source() -> str:
        return issuer.token("drift:read")

    channel = open_channel(
        address, token=source, default_timeout=60.0, tracer_provider=tracer_provider
    )
    async with server, channel:
        yield drift_pb2_grpc.DriftServiceStub(channel)


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
