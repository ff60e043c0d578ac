"""The drift service, as the gateway sees it: the only importer of its stubs."""

import grpc

from gateway.drift_answers import DriftReport
from gateway.drift_converters import to_report
from gateway.drift_pages import FORMATS, Extension, ReportPage
from gateway.upstream import answer_of
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

SERVICE = "drift"


class DriftClient:
    """Calls drift over a channel that carries the gateway's token."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: drift_pb2_grpc.DriftServiceAsyncStub = drift_pb2_grpc.DriftServiceStub(channel)

    async def latest_report(self, model: str, version: str) -> DriftReport:
        """The newest window against the reference.

        Args:
            version: empty for the one that was predicted with last.

        Raises:
            NotFound: drift watches no such model or version.
            ServiceError: drift is away, late or broken.
        """
        request = pb.GetReportRequest(model=model, version=version)
        answer = await answer_of(SERVICE, self._stub.GetReport(request))
        return to_report(answer.report)

    async def rendered_report(self, model: str, version: str, extension: Extension) -> ReportPage:
        """The same for people; raises as `latest_report` does."""
        request = pb.RenderReportRequest(model=model, version=version, format=FORMATS[extension])
        answer = await answer_of(SERVICE, self._stub.RenderReport(request))
        return ReportPage.of(answer.rendered)
