"""Refuses predictions for want of room before their requests are tasks.

In overload most requests are refused, and each that passed all that an answer passes would cost as
much as one: the more were refused, the fewer would be answered, and all of them later. So while
there is too much, a prediction that would be refused anyway is refused as soon as its head is read.
It is told the same, in the same words, and counted in the same metrics. Whoever cannot be told at
once, or sends something uncommon, takes the ordinary way, where nothing is decided otherwise.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence

from fastapi.routing import APIRoute
from starlette.types import Scope

from gateway.access import BearerAccess
from gateway.deprecation import deprecation_headers
from gateway.direct_routes import DirectRoute, RouteTable
from gateway.errors import GatewayFull
from gateway.http_envelope import added_headers, count
from gateway.http_exchange import WholeAnswer
from gateway.problems import problem_content, retry_after_of
from gateway.refusal_counts import RefusalCounts
from gateway.request_errors import TimeoutMalformed
from gateway.request_headers import first_values, seconds_from
from servicekit import request_context
from servicekit.trace_sampling import parse_traceparent

_CROWDED = 1.0
"""Seconds after a refusal in which others are expected. At other times nothing is looked at."""
_UNCOMMON = frozenset(
    {
        b"idempotency-key",  # its answer may be there already
        b"origin",  # a browser's page is told more
        b"expect",
        b"upgrade",
    }
)
_STATUS = 503


class EarlyRefusals:
    """Decides on requests whose heads have been read.

    None of them is recorded as a trace unless its caller says so: their number is in the metrics,
    and traces that are worth a look would be lost between them.

    Args:
        routes: whose requests are refused here.
        described: the routes as FastAPI has them, by their path.
        check_room: raises GatewayFull where a tenant's request of so many items has no room.
        clock: seconds.
    """

    def __init__(
        self,
        routes: Sequence[DirectRoute],
        described: Mapping[str, APIRoute],
        access: BearerAccess,
        check_room: Callable[[str, int], None],
        counts: RefusalCounts,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._routes = RouteTable(routes)
        self._deprecations = {
            route.path: deprecation_headers(described[route.path]) for route in routes
        }
        self._access = access
        self._check_room = check_room
        self._counts = counts
        self._clock = clock
        self._crowded_until = float("-inf")

    def expect(self) -> None:
        """Notes that a request has just been refused for want of room."""
        self._crowded_until = self._clock() + _CROWDED

    def answer(self, scope: Scope, believe: Callable[[Scope], None]) -> WholeAnswer | None:
        """What a request is answered at once; None for one that has to be looked at.

        Args:
            believe: puts into the scope what trusted proxies tell of the client.
        """
        started = self._clock()
        if started >= self._crowded_until:
            return None
        found = self._routes.find(scope)
        if found is None:
            return None
        headers = first_values(scope)
        if not headers.keys().isdisjoint(_UNCOMMON) or not _has_plain_timeout(headers):
            return None
        traceparent = headers.get(b"traceparent", b"").decode("latin-1")
        parent = parse_traceparent(traceparent)
        if parent is not None and parent.trace_flags.sampled:
            return None
        route, _ = found
        caller = self._access.remembered(scope, route.scope)
        if caller is None:
            return None
        try:
            self._check_room(caller.tenant, 1)
        except GatewayFull as full:
            self.expect()
            believe(scope)
            stated = headers.get(b"x-request-id", b"").decode("latin-1")
            request_id = request_context.accept_request_id(stated)
            trace_id = format(parent.trace_id if parent else random.getrandbits(128) or 1, "032x")
            answer = self._refusal(scope, route.path, full, request_id, trace_id)
            count("POST", route.path, _STATUS, self._clock() - started)
            self._counts.note(route.path, caller, full.code, request_id)
            return answer
        return None

    def _refusal(
        self, scope: Scope, path: str, full: GatewayFull, request_id: str, trace_id: str
    ) -> WholeAnswer:
        told = problem_content(
            scope["path"],
            _STATUS,
            full.code,
            full.message,
            request_id=request_id,
            trace_id=trace_id,
        )
        body = told.encode()
        headers = [
            (b"retry-after", retry_after_of(full).encode()),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/problem+json"),
            *added_headers(scope, request_id, trace_id),
            *self._deprecations[path],
        ]
        return WholeAnswer(_STATUS, headers, body)


def _has_plain_timeout(headers: Mapping[bytes, bytes]) -> bool:
    stated = headers.get(b"x-request-timeout")
    if not stated:
        return True
    try:
        seconds_from(stated.decode("latin-1"))
    except TimeoutMalformed:
        return False
    return True
