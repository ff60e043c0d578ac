"""/v1/drift/models/…."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Security
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gateway.access import BearerAccess, Caller
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import PlainText
from gateway.drift_answers import DriftReport, KeptReports, PowerPlan
from gateway.drift_client import DriftClient
from gateway.drift_pages import Extension, page
from gateway.drift_shapes import ComparisonBody
from gateway.errors import ModelUnknown
from gateway.request_body import read_json
from gateway.text_rules import fault_of
from servicekit.errors import NotFound

_MODEL = "/v1/drift/models/{model}"
_LARGEST_PLAN = 100_000_000
Version = Annotated[
    PlainText | None,
    Query(max_length=128, description="The one predicted with last, when absent."),
]
Scope = Annotated[
    Literal["all", "tenant"],
    Query(
        description="Windows of all tenants together, or those of the caller's tenant alone: the "
        "busiest tenants have some, 404 TENANT_NOT_WATCHED tells the others."
    ),
]
_COMPARISON = """\
The windows that began in one range are judged with those of the other as their reference: \
verdicts and report are the same as ever. The window that is still open counts, too. Closed ones \
are kept for a while; an error says which. `?format=html` and `?format=md` give the report for \
people."""
_POWER = """\
To plan windows with: per signal the chance that `effect` is called drift in a window of `n` \
predictions if nothing else changed, and the predictions that find it 8 times of 10 and 19 of 20. \
The effect of numbers is a shift in standard deviations of the reference, of categories the share \
of rows in others, of ratios a difference, of the projection how much better than chance window \
and reference are told apart. For example `?n=1000&effect=0.2`."""


def drift_routes(access: BearerAccess, drift: DriftClient, *, max_body_bytes: int) -> APIRouter:
    """The routes on what changed since training.

    Everybody who may read sees windows of all tenants together, and a tenant its own.
    """
    router = APIRouter(tags=["drift"], dependencies=[Security(access, scopes=["drift:read"])])
    may_read: Caller = Security(access, scopes=["drift:read"])

    @router.get(
        f"{_MODEL}/reports",
        responses=reading(404),
        summary="The closed windows whose reports are kept, newest first",
    )
    async def list_reports(
        model: str, version: Version = None, scope: Scope = "all", caller: Caller = may_read
    ) -> KeptReports:
        return await drift.reports(_known(model), version or "", _tenant(scope, caller))

    @router.get(
        f"{_MODEL}/reports/latest",
        responses=reading(404),
        summary="What the model sees and says now, against its reference",
    )
    async def latest_report(
        model: str, version: Version = None, scope: Scope = "all", caller: Caller = may_read
    ) -> DriftReport:
        return await drift.report(_known(model), version or "", _tenant(scope, caller))

    def add_pages(extension: Extension, response: type[Response], what: str) -> None:
        @router.get(
            f"{_MODEL}/reports/latest.{extension}",
            name=f"latest_report_{extension}",
            response_class=response,
            responses={**page(extension), **reading(404)},
            summary=f"The newest report as {what}",
        )
        async def latest(
            request: Request,
            model: str,
            version: Version = None,
            scope: Scope = "all",
            caller: Caller = may_read,
        ) -> Response:
            rendered = await drift.rendered_report(
                _known(model), version or "", _tenant(scope, caller), extension
            )
            return rendered.answer(extension, request)

        @router.get(
            f"{_MODEL}/reports/{{report_id}}.{extension}",
            name=f"kept_report_{extension}",
            response_class=response,
            responses={**page(extension), **reading(404)},
            summary=f"The report on a closed window as {what}",
        )
        async def kept(
            request: Request,
            model: str,
            report_id: str,
            version: Version = None,
            scope: Scope = "all",
            caller: Caller = may_read,
        ) -> Response:
            rendered = await drift.rendered_report(
                _known(model),
                version or "",
                _tenant(scope, caller),
                extension,
                _clean(report_id),
            )
            return rendered.answer(extension, request)

    add_pages("html", HTMLResponse, "a page")
    add_pages("md", PlainTextResponse, "Markdown")

    @router.get(
        f"{_MODEL}/reports/{{report_id}}",
        responses=reading(404),
        summary="The report on a closed window",
    )
    async def kept_report(
        model: str,
        report_id: str,
        version: Version = None,
        scope: Scope = "all",
        caller: Caller = may_read,
    ) -> DriftReport:
        return await drift.report(
            _known(model), version or "", _tenant(scope, caller), _clean(report_id)
        )

    @router.post(
        f"{_MODEL}/comparisons",
        responses=writing(404),
        response_model=DriftReport,
        openapi_extra=body_of(ComparisonBody),
        summary="Compare two ranges of time",
        description=_COMPARISON,
    )
    async def compare(
        request: Request,
        model: str,
        extension: Annotated[
            Extension | None, Query(alias="format", description="Without it, JSON.")
        ] = None,
        scope: Scope = "all",
        caller: Caller = may_read,
    ) -> DriftReport | Response:
        body = await read_json(request, ComparisonBody, max_body_bytes)
        asked = (
            _known(model),
            body.version or "",
            _tenant(scope, caller),
            body.reference.moments(),
            body.window.moments(),
        )
        if extension is None:
            return await drift.comparison(*asked)
        return (await drift.rendered_comparison(*asked, extension)).answer(extension, request)

    @router.get(
        f"{_MODEL}/power",
        responses=reading(404),
        summary="What windows of a size would show",
        description=_POWER,
    )
    async def get_power(
        model: str,
        n: Annotated[
            int, Query(ge=1, le=_LARGEST_PLAN, examples=[1000], description="Predictions.")
        ],
        effect: Annotated[
            float, Query(gt=0, le=1000, examples=[0.2], description="That should be found.")
        ],
        version: Version = None,
    ) -> PowerPlan:
        return await drift.power(_known(model), version or "", n, effect)

    return router


def _tenant(scope: Literal["all", "tenant"], caller: Caller) -> str:
    """Whose own windows are meant; empty for those of all tenants."""
    return caller.tenant if scope == "tenant" else ""


def _known(model: str) -> str:
    """The name of a model, where it can be one.

    Raises:
        ModelUnknown: it cannot.
    """
    if fault_of(model):
        raise ModelUnknown("No model of that name is watched.")
    return model


def _clean(report_id: str) -> str:
    if fault_of(report_id):
        raise NotFound("No window of that name is kept.", reason="REPORT_UNKNOWN")
    return report_id
