"""GET /v1/predictions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import reading
from gateway.api_shapes import PlainText
from gateway.audit_trail import AuditTrail
from gateway.errors import PredictionUnknown
from gateway.identity_errors import ScopeMissing
from gateway.log_answers import LoggedPredictions, LoggedPredictionWithText
from gateway.log_query import Matching, fields_as_parameters
from gateway.prediction_log_client import PredictionLogClient


def log_routes(access: BearerAccess, log: PredictionLogClient, audit: AuditTrail) -> APIRouter:
    """The routes on the tenant's own log; the tenant is always the token's.

    Args:
        audit: hears of texts that were refused; of those that are given out the log tells it.
    """
    router = APIRouter(tags=["log"])
    may_read: Caller = Security(access, scopes=["predictions:read"])

    @router.get(
        "/v1/predictions",
        responses=reading(),
        summary="List predictions, newest first",
        description="What is recorded meanwhile does not move later pages. A search for rare "
        "matches answers after a second: a page may then hold fewer than `limit`, even none, and "
        "`next_cursor` tells where to go on; only where that is null is the end.",
    )
    async def list_predictions(
        query: Matching,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        caller: Caller = may_read,
    ) -> LoggedPredictions:
        with fields_as_parameters():
            return await log.list_page(caller.tenant, query, limit=limit, cursor=cursor or "")

    @router.get("/v1/predictions/{prediction_id}", responses=reading(404), summary="One prediction")
    async def get_prediction(
        request: Request,
        prediction_id: str,
        include_input: Annotated[
            bool, Query(description="Whether to give out the text; needs `inputs:read` as well.")
        ] = False,
        caller: Caller = may_read,
    ) -> LoggedPredictionWithText:
        address = request.client.host if request.client else ""
        if include_input:
            try:
                caller.need("inputs:read")
            except ScopeMissing as error:
                audit.record(
                    "input.read",
                    client_id=caller.client_id,
                    tenant=caller.tenant,
                    client_address=address,
                    reason=error.code,
                    target=prediction_id,
                )
                raise
        return await log.get(
            caller.tenant,
            prediction_id_from(prediction_id),
            client_id=caller.client_id,
            client_address=address,
            include_input=include_input,
        )

    return router


def prediction_id_from(text: str) -> UUID:
    """The id in a path.

    Raises:
        PredictionUnknown: it is none.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise PredictionUnknown("There is no such prediction.") from error
