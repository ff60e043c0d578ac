"""GET /v1/drift/models/…."""

from typing import Annotated

from fastapi import APIRouter, Query, Security

from gateway.access import BearerAccess
from gateway.api_description import reading
from gateway.api_shapes import PlainText
from gateway.drift_answers import DriftReport
from gateway.drift_client import DriftClient
from gateway.errors import ModelUnknown
from gateway.text_rules import fault_of


def drift_routes(access: BearerAccess, drift: DriftClient) -> APIRouter:
    """The routes on what changed since training; reports hold no tenant's data alone."""
    router = APIRouter(tags=["drift"], dependencies=[Security(access, scopes=["drift:read"])])

    @router.get(
        "/v1/drift/models/{model}/reports/latest",
        responses=reading(404),
        summary="What the model sees and says now, against its reference",
    )
    async def latest_report(
        model: str,
        version: Annotated[
            PlainText | None,
            Query(max_length=128, description="The one predicted with last, when absent."),
        ] = None,
    ) -> DriftReport:
        if fault_of(model):
            raise ModelUnknown("No model of that name is watched.")
        return await drift.latest_report(model, version or "")

    return router
