"""GET /v1/predictions/export."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Security
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from gateway.access import BearerAccess, Caller
from gateway.api_description import reading
from gateway.audit_trail import AuditTrail
from gateway.audited_routes import act, audited_route
from gateway.errors import AnswerBroken
from gateway.export_client import ExportClient
from gateway.http_envelope import seconds_allowed
from gateway.log_query import Matching, fields_as_parameters
from gateway.quota_meter import QuotaMeter
from gateway.rate_limit_headers import rate_limit_headers
from servicekit import request_context
from servicekit.errors import ServiceError

_log = structlog.get_logger(__name__)

_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_COST = 1
"""Predictions that an export is charged as: it is one request, and the scope is what guards it."""
_DESCRIPTION = """\
Everything that matches, oldest first, with the latest that feedback said of each; as it is when
the export begins. For example `?format=csv&model=sentiment&from=2026-11-01T00:00:00Z`.

**A file is complete only if the answer ended as HTTP says that answers end**; programs tell an
error (curl: 18) where it was broken off. Lines are continued with `after` set to the last
prediction whose line is complete: the header of a CSV file is then left out, so that the rest can
be appended. A Parquet file cannot be continued; take long ones in parts, by time.

Texts in CSV are as they were recorded. A spreadsheet that takes those which begin with `=`, `+`,
`-` or `@` for formulas must be told to import them as text.
"""
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "prediction_id,predicted_at,model,model_version,client_id,delegate_id,"
                "request_id,input_sha256,input_characters,input_tokens,label,confidence,"
                "probabilities,inference_ms,shadow,correct_label,score\n",
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"prediction_id":"0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11", …}\n',
            },
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def export_routes(
    access: BearerAccess,
    exports: ExportClient,
    meter: QuotaMeter,
    audit: AuditTrail,
    *,
    timeout: float,
) -> APIRouter:
    """The route, which belongs before the one of a single prediction.

    Args:
        timeout: longest that an export may take, seconds.
    """
    router = APIRouter(tags=["log"], route_class=audited_route(audit))
    may_export: Caller = Security(access, scopes=["predictions:export"])

    @router.get(
        "/v1/predictions/export",
        response_class=StreamingResponse,
        responses={**_FILE, **reading(429)},
        summary="Predictions as a file",
        description=_DESCRIPTION,
    )
    @act("predictions.export")
    async def export(
        request: Request,
        query: Matching,
        file_format: Annotated[Literal["csv", "jsonl", "parquet"], Query(alias="format")] = "csv",
        after: Annotated[UUID | None, Query(description="Goes on behind this prediction.")] = None,
        caller: Caller = may_export,
    ) -> Response:
        # Longer than other requests may take.
        request_context.deadline.set(time.monotonic() + seconds_allowed(request, timeout))
        charge = await meter.charge(caller.client, _COST)
        pieces = exports.pieces(
            caller.tenant, query, file_format, after=str(after) if after else ""
        )
        try:
            # With the first piece everything that can be refused is known.
            with fields_as_parameters():
                first = await anext(pieces, b"")
        except BaseException as error:
            if isinstance(error, ServiceError):
                meter.refund(charge)
            meter.release(charge)
            raise
        headers = {
            **rate_limit_headers(charge.states),
            "content-disposition": f'attachment; filename="predictions.{file_format}"',
            "cache-control": "no-store",
        }
        return _File(
            first,
            pieces,
            when_ended=lambda: meter.release(charge),
            headers=headers,
            media_type=_MEDIA_TYPES[file_format],
        )

    return router


class _File(StreamingResponse):
    """Sends pieces as the client takes them; ends the export when the client goes away."""

    def __init__(
        self,
        first: bytes,
        pieces: AsyncGenerator[bytes, None],
        *,
        when_ended: Callable[[], None],
        **options: Any,
    ) -> None:
        self._pieces = pieces
        self._when_ended = when_ended
        super().__init__(_unbroken(first, pieces), **options)

    async def stream_response(self, send: Send) -> None:
        try:
            async with aclosing(self._pieces):
                await super().stream_response(send)
        finally:
            self._when_ended()


async def _unbroken(
    first: bytes, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for piece in pieces:
            if piece:
                yield piece
    except ServiceError as error:
        _log.warning("export_broken_off", code=error.code)
        raise AnswerBroken from error
