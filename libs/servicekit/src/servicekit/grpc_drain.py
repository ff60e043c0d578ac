"""How a gRPC server stops without a failed call: clients leave first, then it closes.

gRPC's own stop cancels calls that clients sent before they heard of it. So the server goes on as if
nothing were, as long as connections live: each client looks at their end where else to go. Whoever
is left is told: every channel of ours watches the health of `LIVE` and sends nothing to a server
that says it does not serve. A client that knew of no other one would have nowhere to go if it were
told at once.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from servicekit.grpc_call_shapes import Handler

LIVE = "live"
"""Health's name for the process itself: serving until it stops, whatever became of its stores.
What restarts a stuck process asks for it, and clients watch it; who looks whether calls would be
answered asks for a service."""

SERVICE_CONFIG = json.dumps(
    {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": LIVE}}
)
"""For channels: all replicas in turn, and none that drains."""

_QUIET = 0.25
"""Seconds without a new call after which nobody is taken to be on the way any more."""
_LOOK = 0.05
_OPEN_TO_ALL = ("/grpc.health.", "/grpc.reflection.")


Watch = Callable[[Any, Any], Awaitable[None]]


class Watches:
    """Knows how many clients watch health: one for each connection of a channel of ours."""

    def __init__(self) -> None:
        self._open = 0

    def counted(self, watch: Watch) -> Watch:
        """A health service's Watch that is counted here."""

        async def counting(request: Any, context: Any) -> None:
            self._open += 1
            try:
                await watch(request, context)
            finally:
                self._open -= 1

        return counting

    async def abandoned(self, longest: float) -> None:
        """Returns once nobody watches, or after `longest` seconds."""
        give_up = time.monotonic() + longest
        while self._open:
            if time.monotonic() >= give_up:
                return
            await asyncio.sleep(_LOOK)


class CallTraffic(grpc.aio.ServerInterceptor):
    """Knows when the newest call came; probes and watches of health are none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._newest: float | None = None

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Notes the call (gRPC's own hook)."""
        method: Any = handler_call_details.method
        if not method.startswith(_OPEN_TO_ALL):
            self._newest = self._clock()
        return await continuation(handler_call_details)

    async def end(self, longest: float) -> None:
        """Returns once no call has come for a moment; at once where there never was one.

        Args:
            longest: seconds after which it returns though calls still come.
        """
        if self._newest is None:
            return
        began = self._clock()
        give_up = began + longest
        while True:
            quiet_at = max(self._newest, began) + _QUIET
            left = min(quiet_at, give_up) - self._clock()
            if left <= 0:
                return
            await asyncio.sleep(left)
