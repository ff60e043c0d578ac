"""The table between errors and HTTP: RFC 9457 problems out, but where another standard rules."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gateway.errors import ClientGone, UpstreamFailed
from gateway.identity_errors import (
    CredentialsAmbiguous,
    RevisionOutdated,
    ScopeMissing,
    TokenMissing,
)
from gateway.quota_errors import QuotaExceeded, QuotaUnavailable
from gateway.rate_limit_headers import EXCEEDED, REDUCED_CAPACITY, rate_limit_headers
from gateway.request_errors import (
    BodyTooLarge,
    BodyTooSlow,
    MalformedBody,
    TimeoutMalformed,
    UnsupportedBody,
)
from servicekit import request_context
from servicekit.errors import (
    Conflict,
    DeadlineExceeded,
    Exhausted,
    FieldViolation,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from servicekit.telemetry import current_trace_id

CONTENT_TYPE = "application/problem+json"

_STATUS: dict[type[ServiceError], int] = {
    MalformedBody: 400,
    TimeoutMalformed: 400,
    CredentialsAmbiguous: 400,
    RevisionOutdated: 412,
    BodyTooSlow: 408,
    BodyTooLarge: 413,
    UnsupportedBody: 415,
    InvalidInput: 422,
    Unauthenticated: 401,
    PermissionDenied: 403,
    NotFound: 404,
    Conflict: 409,
    Exhausted: 429,
    DeadlineExceeded: 504,
    Unavailable: 503,
    UpstreamFailed: 502,
    Internal: 500,
}
_CLIENT_GONE = 499
_CODES = {404: "ROUTE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


def status_of(error: ServiceError) -> int:
    """The HTTP status of an error, by its nearest kind."""
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 500


def problem(
    instance: str,
    status: int,
    code: str,
    detail: str,
    *,
    errors: tuple[FieldViolation, ...] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """A problem as a response, or where another standard rules, that one's error.

    The `type` is about:blank, so the title is the status's own phrase; `code` tells problems of
    one status apart.

    Args:
        members: of a problem type of its own, its `type` and `title` among them.
    """
    if instance.startswith("/oauth2/"):
        return _oauth_error(status, detail, headers)
    if speaks_v2(instance):
        return _v2_error(status, detail, errors, headers)
    more: dict[str, Any] = dict(members or {})
    if errors:
        more["errors"] = [
            {"field": violation.field, "message": violation.description} for violation in errors
        ]
    content = problem_content(
        instance,
        status,
        code,
        detail,
        request_id=request_context.request_id.get(),
        trace_id=current_trace_id(),
        members=more,
    )
    return Response(content, status, headers, media_type=CONTENT_TYPE)


def problem_content(
    instance: str,
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    trace_id: str,
    members: Mapping[str, Any] | None = None,
) -> str:
    """A problem's JSON."""
    return json.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "instance": instance,
            "code": code,
            "request_id": request_id,
            "trace_id": trace_id,
            **(members or {}),
        }
    )


def _oauth_error(status: int, detail: str, headers: Mapping[str, str] | None) -> Response:
    error = "invalid_request" if status < 500 else "server_error"
    # RFC 6749, 5.2: printable ASCII without quotes and backslashes.
    description = "".join(c for c in detail if " " <= c <= "~" and c not in '"\\')
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status, {"cache-control": "no-store", **(headers or {})})


def speaks_v2(path: str) -> bool:
    """Whether the Open Inference Protocol is spoken there."""
    return path == "/v2" or path.startswith("/v2/")


def _v2_error(
    status: int,
    detail: str,
    errors: tuple[FieldViolation, ...],
    headers: Mapping[str, str] | None,
) -> Response:
    told = " ".join(
        [detail, *(f"{violation.field}: {violation.description}." for violation in errors)]
    )
    return JSONResponse({"error": told}, 400 if status == 422 else status, headers)


def of_error(instance: str, error: ServiceError) -> Response:
    """The problem that tells a service error."""
    if isinstance(error, ClientGone):
        # Nobody reads it; the log line and the count have nginx's number for it.
        return Response(status_code=_CLIENT_GONE)
    return problem(
        instance,
        status_of(error),
        error.code,
        error.message,
        errors=error.violations,
        headers=_headers(error),
        members=_members(error),
    )


def install(app: FastAPI) -> None:
    """Makes the app answer with problems."""

    @app.exception_handler(ServiceError)
    async def service_error(request: Request, error: ServiceError) -> Response:
        return of_error(request.url.path, error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = _CODES.get(error.status_code, HTTPStatus(error.status_code).name)
        detail = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).description}"
        return problem(request.url.path, error.status_code, code, detail, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        return of_error(request.url.path, invalid_input(error.errors(), skip=1))


def invalid_input(faults: Any, *, skip: int = 0) -> InvalidInput:
    """Pydantic's faults as an error.

    Args:
        skip: leading parts of each path that mean nothing to the caller.
    """
    return InvalidInput(
        "The request has wrong fields.",
        violations=[
            FieldViolation(_path(fault["loc"][skip:]), str(fault["msg"])) for fault in faults
        ],
    )


def _path(parts: tuple[str | int, ...]) -> str:
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _members(error: ServiceError) -> dict[str, Any] | None:
    if not isinstance(error, QuotaExceeded | QuotaUnavailable):
        return None
    kind, title = EXCEEDED if isinstance(error, QuotaExceeded) else REDUCED_CAPACITY
    return {
        "type": kind,
        "title": title,
        "violated-policies": [policy.name for policy in error.violated],
    }


def _headers(error: ServiceError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["retry-after"] = retry_after_of(error)
    if isinstance(error, QuotaExceeded):
        headers |= rate_limit_headers(error.states, error.violated)
    elif isinstance(error, TokenMissing):
        # RFC 6750, 3.1: a request without credentials gets no error code.
        headers["www-authenticate"] = 'Bearer realm="weir"'
    elif isinstance(error, CredentialsAmbiguous):
        headers["www-authenticate"] = 'Bearer realm="weir", error="invalid_request"'
    elif isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="weir", error="invalid_token"'
    elif isinstance(error, ScopeMissing):
        headers["www-authenticate"] = (
            f'Bearer realm="weir", error="insufficient_scope", scope="{error.scope}"'
        )
    elif isinstance(error, BodyTooLarge | BodyTooSlow):
        headers["connection"] = "close"
    return headers


def retry_after_of(error: ServiceError) -> str:
    """The seconds of its Retry-After."""
    return str(max(1, math.ceil(error.retry_after or 0.0)))
