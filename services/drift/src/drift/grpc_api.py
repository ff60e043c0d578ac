"""The drift contract over gRPC: convert, call, convert."""

from grpc.aio import ServicerContext

from drift.converters import from_report
from drift.reporter import Reporter
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

SERVICE = "weir.drift.v1.DriftService"
SCOPES = {f"/{SERVICE}/GetReport": "drift:read"}


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
