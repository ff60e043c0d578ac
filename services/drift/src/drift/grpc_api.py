"""The drift contract over gRPC: convert, call, convert."""

import asyncio

from grpc.aio import ServicerContext

from drift.converters import (
    from_power,
    from_rendered,
    from_report,
    from_summary,
    to_format,
    to_range,
)
from drift.model_versions import ModelVersions
from drift.range_comparison import RangeComparer
from drift.rendering import render
from drift.report import Report
from drift.reporter import Reporter
from drift.signal_power import Planner
from drift.tenancy import scope_of
from servicekit import request_context
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

SERVICE = "weir.drift.v1.DriftService"
SCOPES = {
    f"/{SERVICE}/{method}": "drift:read"
    for method in (
        "GetReport",
        "RenderReport",
        "ListReports",
        "CompareRanges",
        "RenderComparison",
        "GetPower",
    )
}


class DriftServicer(drift_pb2_grpc.DriftServiceServicer):
    """Runs behind the interceptors of `GrpcServer`, which authenticate and map errors."""

    def __init__(
        self,
        reporter: Reporter,
        comparer: RangeComparer,
        versions: ModelVersions,
        planner: Planner,
    ) -> None:
        self._reporter = reporter
        self._comparer = comparer
        self._versions = versions
        self._planner = planner

    async def GetReport(
        self, request: pb.GetReportRequest, context: "ServicerContext[object, object]"
    ) -> pb.GetReportResponse:
        """Reports on a model version."""
        report = await self._reported(request)
        return pb.GetReportResponse(report=from_report(report))

    async def RenderReport(
        self, request: pb.RenderReportRequest, context: "ServicerContext[object, object]"
    ) -> pb.RenderReportResponse:
        """The same for people."""
        wanted = to_format(request.format)
        report = await self._reported(request)
        rendered = await asyncio.to_thread(render, report, wanted)
        return pb.RenderReportResponse(rendered=from_rendered(rendered))

    async def ListReports(
        self, request: pb.ListReportsRequest, context: "ServicerContext[object, object]"
    ) -> pb.ListReportsResponse:
        """The closed windows that are kept."""
        about, summaries = await self._reporter.summaries(
            request.model, request.version, _tenant(request.tenant)
        )
        return pb.ListReportsResponse(
            model=about.model, model_version=about.version, reports=map(from_summary, summaries)
        )

    async def CompareRanges(
        self, request: pb.CompareRangesRequest, context: "ServicerContext[object, object]"
    ) -> pb.CompareRangesResponse:
        """Compares two ranges of time."""
        return pb.CompareRangesResponse(report=from_report(await self._compared(request)))

    async def RenderComparison(
        self, request: pb.RenderComparisonRequest, context: "ServicerContext[object, object]"
    ) -> pb.RenderComparisonResponse:
        """The same for people."""
        wanted = to_format(request.format)
        report = await self._compared(request.comparison)
        rendered = await asyncio.to_thread(render, report, wanted)
        return pb.RenderComparisonResponse(rendered=from_rendered(rendered))

    async def GetPower(
        self, request: pb.GetPowerRequest, context: "ServicerContext[object, object]"
    ) -> pb.GetPowerResponse:
        """What windows of a size would show."""
        about = await self._versions.find(request.model, request.version)
        reference = await self._versions.reference(about)
        planned = await asyncio.to_thread(
            self._planner.plan, reference, request.rows, request.effect
        )
        return pb.GetPowerResponse(
            model=about.model,
            model_version=about.version,
            signals=map(from_power, planned),
            reference_id=reference.reference_id,
        )

    async def _reported(self, request: pb.GetReportRequest | pb.RenderReportRequest) -> Report:
        return await self._reporter.report(
            request.model, request.version, request.report_id, _tenant(request.tenant)
        )

    async def _compared(self, request: pb.CompareRangesRequest) -> Report:
        return await self._comparer.compare(
            request.model,
            request.version,
            to_range(request.reference),
            to_range(request.window),
            _tenant(request.tenant),
        )


def _tenant(stated: str) -> str:
    return scope_of(request_context.principal.get(), stated)
