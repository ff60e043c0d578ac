"""GET /v1/drift/models/…."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Security
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gateway.access import BearerAccess
from gateway.api_description import reading
from gateway.api_shapes import PlainText
from gateway.drift_answers import DriftReport
from gateway.drift_client import DriftClient
from gateway.drift_pages import page
from gateway.errors import ModelUnknown
from gateway.text_rules import fault_of

Version = Annotated[
    PlainText | None,
    Query(max_length=128, description="The one predicted with last, when absent."),
]


def drift_routes(access: BearerAccess, drift: DriftClient) -> APIRouter:
    """The routes on what changed since training; reports hold no tenant's data alone."""
    router = APIRouter(tags=["drift"], dependencies=[Security(access, scopes=["drift:read"])])

    @router.get(
        "/v1/drift/models/{model}/reports/latest",
        responses=reading(404),
        summary="What the model sees and says now, against its reference",
    )
    async def latest_report(model: str, version: Version = None) -> DriftReport:
        return await drift.latest_report(_known(model), version or "")

    @router.get(
        "/v1/drift/models/{model}/reports/latest.html",
        response_class=HTMLResponse,
        responses={**page("html"), **reading(404)},
        summary="The same as a page",
    )
    async def latest_page(request: Request, model: str, version: Version = None) -> Response:
        rendered = await drift.rendered_report(_known(model), version or "", "html")
        return rendered.answer("html", request)

    @router.get(
        "/v1/drift/models/{model}/reports/latest.md",
        response_class=PlainTextResponse,
        responses={**page("md"), **reading(404)},
        summary="The same as Markdown",
    )
    async def latest_text(request: Request, model: str, version: Version = None) -> Response:
        rendered = await drift.rendered_report(_known(model), version or "", "md")
        return rendered.answer("md", request)

    return router


def _known(model: str) -> str:
    """The name of a model, where it can be one.

    Raises:
        ModelUnknown: it cannot.
    """
    if fault_of(model):
        raise ModelUnknown("No model of that name is watched.")
    return model
