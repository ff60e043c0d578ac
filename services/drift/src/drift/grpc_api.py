"""The drift contract over gRPC: convert, call, convert."""

import asyncio

from grpc.aio import ServicerContext

from drift.converters import from_rendered, from_report, to_format
from drift.rendering import render
from drift.reporter import Reporter
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

SERVICE = "weir.drift.v1.DriftService"
SCOPES = {f"/{SERVICE}/{method}": "drift:read" for method in ("GetReport", "RenderReport")}


class DriftServicer(drift_pb2_grpc.DriftServiceServicer):
    """Runs behind the interceptors of `GrpcServer`, which authenticate and map errors."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    async def GetReport(
        self, request: pb.GetReportRequest, context: "ServicerContext[object, object]"
    ) -> pb.GetReportResponse:
        """Reports on a model version."""
        report = await self._reporter.report(request.model, request.version)
        return pb.GetReportResponse(report=from_report(report))

    async def RenderReport(
        self, request: pb.RenderReportRequest, context: "ServicerContext[object, object]"
    ) -> pb.RenderReportResponse:
        """The same for people."""
        wanted = to_format(request.format)
        report = await self._reporter.report(request.model, request.version)
        rendered = await asyncio.to_thread(render, report, wanted)
        return pb.RenderReportResponse(rendered=from_rendered(rendered))
