"""The HTTP application, put together from its parts."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from gateway import problems
from gateway.api_description import DescribedApi
from gateway.compressed_answers import CompressedAnswers
from gateway.cross_origin import cross_origin
from gateway.direct_routes import AnyDirectRoute, DirectRoutes
from gateway.http_envelope import HttpEnvelope
from gateway.request_tracing import SampledTracing

_DESCRIPTION = """\
Weir puts a gate in front of machine-learning models and keeps the books.

Get an access token from `POST /oauth2/token` with your client's id and secret, then send it as
`Authorization: Bearer …`; or send an API key as `X-API-Key`. Errors are
`application/problem+json` (RFC 9457); `code` is stable.
"""


def build_app(
    routers: Sequence[APIRouter],
    *,
    request_timeout: float,
    tracer_provider: TracerProvider,
    direct: Sequence[AnyDirectRoute] = (),
    when_full: Callable[[], None] = lambda: None,
    cors_origins: Sequence[str] = (),
) -> FastAPI:
    """An application that serves the routers.

    Args:
        direct: routes of the routers that do not need FastAPI to be answered.
        when_full: hears of what these refuse because too many requests are under way.
        request_timeout: longest that a request may take, seconds.
        cors_origins: whose pages may call it from a browser.
    """
    app = DescribedApi(
        title="Weir",
        version="0.1.0",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in routers:
        app.include_router(router)
    problems.install(app)
    # From the outside to the inside.
    around = [
        Middleware(HttpEnvelope, request_timeout=request_timeout),
        *cross_origin(cors_origins),
        Middleware(CompressedAnswers),
        Middleware(DirectRoutes, routes=direct, described=posts_of(routers), when_full=when_full),
    ]
    # The same parts twice. Without spans our own come first: nothing of FastAPI's is passed by what
    # does not need it.
    plain = _wrapped(app.build_middleware_stack(), around)
    app.user_middleware = around
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=tracer_provider,
        meter_provider=NoOpMeterProvider(),
        exclude_spans=["receive", "send"],
    )
    traced = app.build_middleware_stack()
    app.middleware_stack = SampledTracing(plain, traced, tracer_provider=tracer_provider)
    return app


def posts_of(routers: Sequence[APIRouter]) -> dict[str, APIRoute]:
    """The POST routes by their path."""
    return {
        route.path: route
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }


def _wrapped(app: ASGIApp, around: Sequence[Middleware]) -> ASGIApp:
    """The app within the middlewares, the first one outermost."""
    for middleware in reversed(around):
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    return app
