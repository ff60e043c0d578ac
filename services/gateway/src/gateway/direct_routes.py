"""The routes that are asked for all the time, answered without FastAPI's machinery.

FastAPI has the same routes, with the same functions behind them: it describes them, refuses other
methods, and would answer the same. What it adds to a request costs as much as all that the gateway
itself does for one, and nothing here uses it.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import BearerAccess, Caller
from gateway.errors import GatewayFull
from gateway.problems import of_error
from servicekit.errors import ServiceError

Answer = Callable[[Request, Caller, str], Awaitable[Response]]
"""Answers a request of a caller; the text is the path's parameter, empty where it has none."""


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """A POST route with at most one parameter in its path, `{model}`."""

    path: str
    """As FastAPI has it: the name in metrics and logs."""
    access: BearerAccess
    scope: str
    """That a caller needs."""
    answer: Answer

    async def answered(self, request: Request, parameter: str) -> Response:
        """The answer to a caller who may ask."""
        caller = await self.access.caller(request, (self.scope,))
        return await self.answer(request, caller, parameter)


@dataclass(frozen=True, slots=True)
class OpenDirectRoute:
    """A POST route that looks at credentials itself, if at any."""

    path: str
    answer: Callable[[Request], Awaitable[Response]]

    async def answered(self, request: Request, parameter: str) -> Response:
        """The answer to whoever asks."""
        return await self.answer(request)


AnyDirectRoute = DirectRoute | OpenDirectRoute
RouteT = TypeVar("RouteT", bound=AnyDirectRoute)


class RouteTable(Generic[RouteT]):
    """Finds the route of a request."""

    def __init__(self, routes: Sequence[RouteT]) -> None:
        self._fixed = {route.path: route for route in routes if "{" not in route.path}
        self._others = [
            (re.compile(route.path.replace("{model}", "([^/]+)")), route)
            for route in routes
            if "{" in route.path
        ]

    def find(self, scope: Scope) -> tuple[RouteT, str] | None:
        """The route and its path's parameter, empty where it has none; None for other requests."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return None
        path = scope["path"]
        if route := self._fixed.get(path):
            return route, ""
        for pattern, route in self._others:
            if match := pattern.fullmatch(path):
                return route, match[1]
        return None


class DirectRoutes:
    """ASGI middleware that answers its routes and passes everything else on.

    Args:
        described: FastAPI's own POST routes by their path, which hold what is declared of a route:
            its name, and that it will go away.
        when_full: hears that a request was refused because too many are under way.

    Raises:
        KeyError: FastAPI does not have one of the routes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[AnyDirectRoute],
        described: Mapping[str, APIRoute],
        when_full: Callable[[], None],
    ) -> None:
        self._app = app
        self._described = {route.path: described[route.path] for route in routes}
        self._routes = RouteTable(routes)
        self._when_full = when_full

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        found = self._routes.find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        route, parameter = found
        scope["route"] = self._described[route.path]
        request = Request(scope, receive)
        try:
            response = await route.answered(request, parameter)
        except ServiceError as error:
            if isinstance(error, GatewayFull):
                self._when_full()
            response = of_error(scope["path"], error)
        await response(scope, receive, send)
