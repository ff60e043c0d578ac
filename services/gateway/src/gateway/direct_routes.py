"""The routes that are asked for all the time, answered without FastAPI's machinery.

FastAPI has the same routes, with the same functions behind them: it describes them, refuses other
methods, and would answer the same. What it adds to a request costs as much as all that the gateway
itself does for one, and nothing here uses it.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import BearerAccess, Caller
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
    pattern: "re.Pattern[str]" = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.compile(self.path.replace("{model}", "([^/]+)"))
        object.__setattr__(self, "pattern", pattern)


class DirectRoutes:
    """ASGI middleware that answers its routes and passes everything else on."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[DirectRoute]) -> None:
        self._app = app
        self._fixed = {route.path: route for route in routes if "{" not in route.path}
        self._others = [route for route in routes if "{" in route.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request (ASGI)."""
        found = self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        route, parameter = found
        scope["route"] = route
        request = Request(scope, receive)
        try:
            caller = await route.access.caller(request, (route.scope,))
            response = await route.answer(request, caller, parameter)
        except ServiceError as error:
            response = of_error(scope["path"], error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[DirectRoute, str] | None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return None
        path = scope["path"]
        if route := self._fixed.get(path):
            return route, ""
        for route in self._others:
            if match := route.pattern.fullmatch(path):
                return route, match[1]
        return None
