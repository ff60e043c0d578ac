"""Administrative acts over HTTP: each leaves an audit event, and so does each that was refused.

A route says which act it is beside its path; a router whose routes are made by `audited_route`
tells the trail. So nothing that a handler, or what is decided before it, raises can go untold.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from gateway.audit_trail import AuditTrail
from servicekit.errors import ServiceError

_MARK = "__weir_act__"
EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Act:
    """What a route does, in the words of the audit trail."""

    action: str
    only_refusals: bool = False
    """The service that carries it out tells of what it did, before it does it."""


def act(action: str, *, only_refusals: bool = False) -> Callable[[EndpointT], EndpointT]:
    """Marks a route's function, below the router's decorator."""

    def marked(endpoint: EndpointT) -> EndpointT:
        setattr(endpoint, _MARK, Act(action, only_refusals))
        return endpoint

    return marked


def act_of(endpoint: object) -> Act | None:
    """The act that a route's function was marked with."""
    return getattr(endpoint, _MARK, None)


def name_target(request: Request, target: str) -> None:
    """Says what the act is done to, where the path does not."""
    request.state.act_target = target


def audited_route(audit: AuditTrail, within: type[APIRoute] = APIRoute) -> type[APIRoute]:
    """The class of routes, for `APIRouter(route_class=…)`, that tells the trail of marked ones.

    Args:
        within: the class that else the routes would have.
    """

    def get_route_handler(route: APIRoute) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = within.get_route_handler(route)
        marked = act_of(route.endpoint)
        return _told(handle, marked, audit) if marked else handle

    return type("AuditedRoute", (within,), {"get_route_handler": get_route_handler})


def _told(
    handle: Callable[[Request], Coroutine[Any, Any, Response]], what: Act, audit: AuditTrail
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def told(request: Request) -> Response:
        reason = "INTERNAL"
        try:
            response = await handle(request)
            reason = ""
        except ServiceError as error:
            reason = error.code
            raise
        except RequestValidationError:
            reason = "INVALID_INPUT"
            raise
        finally:
            if reason or not what.only_refusals:
                caller = getattr(request.state, "caller", None)
                audit.record(
                    what.action,
                    client_id=caller.client_id if caller else "",
                    tenant=caller.tenant if caller else "",
                    client_address=request.client.host if request.client else "",
                    reason=reason,
                    target=_target_of(request),
                )
        return response

    return told


def _target_of(request: Request) -> str:
    named = getattr(request.state, "act_target", None)
    in_path = "/".join(map(str, request.path_params.values()))
    return str(in_path if named is None else named)[:128]
