"""POST and GET /v1/predictions/{id}/feedback."""

import re
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Security
from pydantic import AfterValidator

from gateway.access import BearerAccess, Caller
from gateway.api_description import body_of, reading, writing
from gateway.api_shapes import FeedbackBody, PlainText
from gateway.feedback_client import FeedbackClient
from gateway.log_answers import FeedbackHistory, FeedbackTaken
from gateway.log_routes import prediction_id_from
from gateway.request_body import read_json

_MAX_KEY = 128
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\(.)")


def _key(header: str) -> str:
    """The key in a header's value: a string of RFC 9651, or, as most clients send it, bare."""
    quoted = _QUOTED.fullmatch(header)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else header
    if not 1 <= len(key) <= _MAX_KEY:
        raise ValueError(f"is not 1 to {_MAX_KEY} characters long")
    if not all(" " <= character <= "~" for character in key):
        raise ValueError("holds something else than printable ASCII characters")
    return key


_IdempotencyKey = Annotated[
    str | None,
    AfterValidator(lambda header: None if header is None else _key(header)),
    Header(
        alias="Idempotency-Key",
        description="Repeating the request with the same key is the same feedback "
        "(draft-ietf-httpapi-idempotency-key-header). Up to 128 printable ASCII characters, "
        "in quotes or without.",
    ),
]


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
        idempotency_key: _IdempotencyKey = None,
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
