"""POST and GET /v1/predictions/{id}/feedback."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import FeedbackBody, PlainText
from gateway.feedback_client import FeedbackClient
from gateway.idempotency_keys import IdempotencyKey
from gateway.log_answers import FeedbackHistory, FeedbackTaken
from gateway.log_routes import prediction_id_from
from gateway.request_body import read_json


def feedback_routes(
    access: BearerAccess, feedback: FeedbackClient, *, max_body_bytes: int
) -> APIRouter:
    """The routes on feedback; the tenant and the client are always the token's."""
    router = APIRouter(tags=["log"])
    may_read: Caller = Security(access, scopes=["predictions:read"])
    may_judge: Caller = Security(access, scopes=["feedback:write"])

    @router.post(
        "/v1/predictions/{prediction_id}/feedback",
        status_code=202,
        responses=writing(404),
        openapi_extra=body_of(FeedbackBody),
        summary="Tell what a prediction should have been",
    )
    async def give_feedback(
        request: Request,
        prediction_id: str,
        idempotency_key: IdempotencyKey = None,
        caller: Caller = may_judge,
    ) -> FeedbackTaken:
        body = await read_json(request, FeedbackBody, max_body_bytes)
        feedback_id = await feedback.record(
            caller.tenant,
            caller.client_id,
            prediction_id_from(prediction_id),
            correct_label=body.correct_label,
            score=body.score,
            comment=body.comment or "",
            idempotency_key=idempotency_key or "",
        )
        return FeedbackTaken(feedback_id=feedback_id)

    @router.get(
        "/v1/predictions/{prediction_id}/feedback",
        responses=reading(404),
        summary="All feedback on a prediction, newest first",
    )
    async def list_feedback(
        prediction_id: str,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[PlainText | None, Query(max_length=512)] = None,
        caller: Caller = may_read,
    ) -> FeedbackHistory:
        identifier = prediction_id_from(prediction_id)
        return await feedback.history(caller.tenant, identifier, limit=limit, cursor=cursor or "")

    return router
