"""GET /v1/predictions and /v1/stats."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Security
from pydantic import AwareDatetime

from gateway.access import BearerAccess, Caller
from gateway.api_description import reading
from gateway.api_shapes import PlainText
from gateway.domain import PredictionUnknown
from gateway.log_answers import (
    LoggedPredictions,
    LoggedPredictionWithText,
    PredictionStats,
)
from gateway.prediction_log_client import PredictionLogClient, PredictionQuery
from servicekit.errors import FieldViolation, InvalidInput

_Word = Annotated[PlainText | None, Query(max_length=128)]
_Moment = AwareDatetime | None
_PARAMETERS = {
    "filter.model": "model",
    "filter.model_version": "version",
    "filter.label": "label",
    "filter.client_id": "client_id",
    "filter.predicted_from": "from",
    "filter.predicted_before": "before",
}
"""The query's names of the log's fields, where they differ."""


def _matching(
    model: _Word = None,
    version: _Word = None,
    label: _Word = None,
    client_id: _Word = None,
    predicted_from: Annotated[_Moment, Query(alias="from", description="Inclusive.")] = None,
    before: Annotated[_Moment, Query(description="Exclusive.")] = None,
    has_feedback: bool | None = None,
) -> PredictionQuery:
    return PredictionQuery(
        model=model or "",
        model_version=version or "",
        label=label or "",
        client_id=client_id or "",
        predicted_from=predicted_from,
        predicted_before=before,
        has_feedback=has_feedback,
    )


_Matching = Annotated[PredictionQuery, Depends(_matching)]


def log_routes(access: BearerAccess, log: PredictionLogClient) -> APIRouter:
    """The routes on the tenant's own log; the tenant is always the token's."""
    router = APIRouter(tags=["log"])
    may_read: Caller = Security(access, scopes=["predictions:read"])

    @router.get("/v1/predictions", responses=reading(), summary="List predictions, newest first")
    async def list_predictions(
        query: _Matching,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        caller: Caller = may_read,
    ) -> LoggedPredictions:
        with _fields_as_parameters():
            return await log.list_page(caller.tenant, query, limit=limit, cursor=cursor or "")

    @router.get("/v1/predictions/{prediction_id}", responses=reading(404), summary="One prediction")
    async def get_prediction(
        prediction_id: str,
        include_input: Annotated[
            bool, Query(description="Whether to give out the text; needs `inputs:read` as well.")
        ] = False,
        caller: Caller = may_read,
    ) -> LoggedPredictionWithText:
        if include_input:
            caller.need("inputs:read")
        return await log.get(
            caller.tenant,
            prediction_id_from(prediction_id),
            client_id=caller.client_id,
            include_input=include_input,
        )

    @router.get("/v1/stats", responses=reading(), summary="Counts and quantiles")
    async def get_stats(query: _Matching, caller: Caller = may_read) -> PredictionStats:
        with _fields_as_parameters():
            return await log.stats(caller.tenant, query)

    return router


@contextmanager
def _fields_as_parameters() -> Iterator[None]:
    """Calls what the log refuses by the names that the query gave it."""
    try:
        yield
    except InvalidInput as error:
        violations = [
            FieldViolation(_PARAMETERS.get(fault.field, fault.field), fault.description)
            for fault in error.violations
        ]
        raise InvalidInput(
            "The query cannot be taken.", reason=error.code, violations=violations
        ) from error


def prediction_id_from(text: str) -> UUID:
    """The id in a path.

    Raises:
        PredictionUnknown: it is none.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise PredictionUnknown("There is no such prediction.") from error
