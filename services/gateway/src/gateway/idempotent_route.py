"""Routes of FastAPI whose POSTs are made once for each Idempotency-Key."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from gateway.access import BearerAccess
from gateway.idempotency import Idempotency
from gateway.idempotency_keys import HEADER

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def idempotent_route(idempotency: Idempotency, access: BearerAccess, scope: str) -> type[APIRoute]:
    """A `route_class` for routers.

    Args:
        scope: that all of the router's routes need; nobody without it is told a kept answer.
    """

    class IdempotentRoute(APIRoute):
        def get_route_handler(self) -> Handler:
            """Puts the key before FastAPI's own handler (FastAPI's hook)."""
            answer = super().get_route_handler()
            if self.methods != {"POST"}:
                return answer

            async def once(request: Request) -> Response:
                if HEADER not in request.headers:
                    return await answer(request)
                caller = await access.caller(request, [scope])
                return await idempotency.once(request, caller, answer)

            return once

    return IdempotentRoute
