"""The drift service, as the gateway sees it: the only caller of its stubs."""

from datetime import datetime

import grpc

from gateway.drift_answers import DriftReport, KeptReports, PowerPlan
from gateway.drift_converters import to_plan, to_report, to_reports
from gateway.drift_pages import FORMATS, Extension, ReportPage
from gateway.upstream import answer_of
from weir.drift.v1 import drift_pb2 as pb
from weir.drift.v1 import drift_pb2_grpc

SERVICE = "drift"
Moments = tuple[datetime, datetime]
"""The first moment of a range, and the first one after it."""


class DriftClient:
    """Calls drift over a channel that carries the gateway's token.

    An empty version is the one that was predicted with last; an empty tenant means the windows of
    all tenants together, another its own. Every call raises:
        NotFound: drift watches no such model, version or tenant, or keeps no such window.
        InvalidInput: drift says which argument cannot be.
        ServiceError: drift is away, late or broken.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: drift_pb2_grpc.DriftServiceAsyncStub = drift_pb2_grpc.DriftServiceStub(channel)

    async def report(
        self, model: str, version: str, tenant: str, report_id: str = ""
    ) -> DriftReport:
        """A window against the reference: the newest without an id."""
        request = pb.GetReportRequest(
            model=model, version=version, tenant=tenant, report_id=report_id
        )
        answer = await answer_of(SERVICE, self._stub.GetReport(request))
        return to_report(answer.report)

    async def rendered_report(
        self, model: str, version: str, tenant: str, extension: Extension, report_id: str = ""
    ) -> ReportPage:
        """The same for people."""
        request = pb.RenderReportRequest(
            model=model,
            version=version,
            tenant=tenant,
            report_id=report_id,
            format=FORMATS[extension],
        )
        answer = await answer_of(SERVICE, self._stub.RenderReport(request))
        return ReportPage.of(answer.rendered)

    async def reports(self, model: str, version: str, tenant: str) -> KeptReports:
        """The closed windows that are kept."""
        request = pb.ListReportsRequest(model=model, version=version, tenant=tenant)
        return to_reports(await answer_of(SERVICE, self._stub.ListReports(request)))

    async def comparison(
        self, model: str, version: str, tenant: str, reference: Moments, window: Moments
    ) -> DriftReport:
        """One range of time against another."""
        request = _comparison(model, version, tenant, reference, window)
        answer = await answer_of(SERVICE, self._stub.CompareRanges(request))
        return to_report(answer.report)

    async def rendered_comparison(
        self,
        model: str,
        version: str,
        tenant: str,
        reference: Moments,
        window: Moments,
        extension: Extension,
    ) -> ReportPage:
        """The same for people."""
        request = pb.RenderComparisonRequest(
            comparison=_comparison(model, version, tenant, reference, window),
            format=FORMATS[extension],
        )
        answer = await answer_of(SERVICE, self._stub.RenderComparison(request))
        return ReportPage.of(answer.rendered)

    async def power(self, model: str, version: str, rows: int, effect: float) -> PowerPlan:
        """What windows of a size would show."""
        request = pb.GetPowerRequest(model=model, version=version, rows=rows, effect=effect)
        return to_plan(await answer_of(SERVICE, self._stub.GetPower(request)))


def _comparison(
    model: str, version: str, tenant: str, reference: Moments, window: Moments
) -> pb.CompareRangesRequest:
    request = pb.CompareRangesRequest(model=model, version=version, tenant=tenant)
    for message, moments in ((request.reference, reference), (request.window, window)):
        getattr(message, "from").FromDatetime(moments[0])
        message.to.FromDatetime(moments[1])
    return request
