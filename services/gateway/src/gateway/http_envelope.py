"""What every HTTP request passes: its id and deadline, safe headers, one log line, one count."""

import time
from collections.abc import Callable, Iterable
from functools import cache

import structlog
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from prometheus_client import Counter, Gauge, Histogram
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.deprecation import deprecation_headers
from gateway.errors import AnswerBroken
from gateway.problems import of_error, problem
from gateway.request_errors import TimeoutMalformed
from gateway.request_headers import envelope_headers, seconds_from
from servicekit import request_context
from servicekit.exemplars import current_exemplar
from servicekit.telemetry import current_trace_id

_log = structlog.get_logger(__name__)

REQUESTS = Counter(
    "weir_http_requests_total", "Finished HTTP requests.", ["method", "route", "status"]
)
SECONDS = Histogram(
    "weir_http_request_seconds",
    "Time that HTTP requests took, seconds.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT = Gauge(
    "weir_http_requests_in_flight", "HTTP requests that came whole and are not answered yet."
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# They come every few seconds: worth a line when they fail.
_PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})
_FAILURES = ("500", "502", "503", "504")
_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
_API_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_DOCS_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)
_POLICY = b"content-security-policy"
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_SAFE = {
    (is_docs, is_https): [
        *_SAFE_HEADERS,
        (_POLICY, _DOCS_POLICY if is_docs else _API_POLICY),
        *([_HSTS] if is_https else []),
    ]
    for is_docs in (False, True)
    for is_https in (False, True)
}
_STATED_TIMEOUT = "stated_timeout"


class HttpEnvelope:
    """ASGI middleware around the whole app.

    Args:
        request_timeout: longest that a request may take, seconds; its X-Request-Timeout makes less
            of it, never more.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_timeout: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._timeout = request_timeout
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        stated = envelope_headers(scope)
        request_id = request_context.accept_request_id(stated.request_id)
        request_context.request_id.set(request_id)
        request_context.deadline.set(time.monotonic() + self._timeout)
        added = added_headers(scope, request_id, current_trace_id())
        status = 0
        IN_FLIGHT.inc()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = message.get("headers", ())
                message["headers"] = [
                    *given,
                    *_unless_stated(added, given),
                    *deprecation_headers(scope.get("route")),
                ]
            await send(message)

        try:
            if stated.timeout is not None and (refusal := self._shorten(scope, stated.timeout)):
                await refusal(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except AnswerBroken:
            trace.get_current_span().set_status(Status(StatusCode.ERROR, "answer broken off"))
            raise
        except Exception as error:
            _log.exception("unexpected_error")
            trace.get_current_span().set_status(Status(StatusCode.ERROR, type(error).__name__))
            if status:
                # The answer is on its way already: only breaking it off tells the client.
                raise
            answer = problem(
                scope["path"], 500, "INTERNAL", "Something went wrong inside; the log knows more."
            )
            await answer(scope, receive, send_with_headers)
        finally:
            IN_FLIGHT.dec()
            _observe(scope, status, self._clock() - started)

    def _shorten(self, scope: Scope, stated: str) -> Response | None:
        """Takes the request's own timeout; gives what refuses it where it is none."""
        try:
            seconds = seconds_from(stated)
        except TimeoutMalformed as error:
            return of_error(scope["path"], error)
        scope.setdefault("state", {})[_STATED_TIMEOUT] = seconds
        request_context.deadline.set(time.monotonic() + min(self._timeout, seconds))
        return None


def seconds_allowed(request: Request, limit: float) -> float:
    """What a route that takes its own time may take: its limit, or what the request states."""
    stated: float = getattr(request.state, _STATED_TIMEOUT, limit)
    return min(limit, stated)


def added_headers(scope: Scope, request_id: str, trace_id: str) -> list[tuple[bytes, bytes]]:
    """What every answer carries; without a trace id where there is none."""
    safe = _SAFE[scope["path"] == "/docs", scope.get("scheme") == "https"]
    if not trace_id:
        return [(b"x-request-id", request_id.encode()), *safe]
    return [(b"x-request-id", request_id.encode()), (b"x-trace-id", trace_id.encode()), *safe]


def _unless_stated(
    added: list[tuple[bytes, bytes]], given: Iterable[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """What to add: a page that states a policy of its own keeps that one alone."""
    for name, _ in given:
        if name == _POLICY:
            return [header for header in added if header[0] != _POLICY]
    return added


def _observe(scope: Scope, status: int, seconds: float) -> None:
    # The template, never the path: paths are the callers' own words.
    route = getattr(scope.get("route"), "path", "(none)")
    method = scope["method"] if scope["method"] in _METHODS else "(other)"
    count(method, route, status, seconds)
    caller = scope.get("state", {}).get("caller")
    write = _log.debug if route in _PROBES and status < 400 else _log.info
    write(
        "http_request",
        method=method,
        route=route,
        status=status,
        seconds=round(seconds, 5),
        client_id=caller.client_id if caller else "",
        tenant=caller.tenant if caller else "",
    )


def count(method: str, route: str, status: int, seconds: float) -> None:
    """Counts and times a finished request."""
    requests, times = _series(method, route, status)
    requests.inc()
    times.observe(seconds, current_exemplar())


@cache
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """The two children for such a request; looking them up anew costs more than counting.

    Failures are there from the route's first request on: what rises from nothing has no rate.
    """
    for failure in _FAILURES:
        REQUESTS.labels(method, route, failure)
    return REQUESTS.labels(method, route, str(status)), SECONDS.labels(method, route)
