"""How the services behind the gateway are."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import grpc
from grpc_health.v1 import health_pb2

Status = Literal["healthy", "degraded", "unhealthy"]
Check = Callable[[], Awaitable[None]]
"""Returns when the component works, raises when it does not."""


class NotServing(Exception):
    """The service answers, and says that it cannot work."""


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """One component, as it was just found."""

    healthy: bool
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Health:
    """All of them."""

    status: Status
    components: Mapping[str, ComponentHealth]
    model_loaded: bool
    """Inference is there: it only starts with its models loaded."""


class HealthChecks:
    """Asks every component at once, and repeats the answer for `lifetime` seconds.

    Predictions need inference alone: without it, or while it may not predict because nothing could
    be recorded, the platform is unhealthy. Without any of the others it is degraded.

    Args:
        reachable: whether inference answers at all; a gateway with one that refuses for a while is
            still the one to ask, since it says why.
        admits: whether callers can be checked at all; without that nobody can predict.
    """

    def __init__(
        self,
        *,
        reachable: Check,
        inference: Check,
        others: Mapping[str, Check],
        timeout: float,
        lifetime: float,
        admits: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reachable = reachable
        self._admits = admits
        self._checks = {"inference": inference, **others}
        self._timeout = timeout
        self._lifetime = lifetime
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: tuple[Health, float] | None = None

    async def check(self) -> Health:
        """The health of all."""
        async with self._asking:
            if self._last is None or self._clock() - self._last[1] >= self._lifetime:
                self._last = (await self._ask(), self._clock())
            return self._last[0]

    async def can_predict(self) -> bool:
        """Whether inference is there, and callers can be let in."""
        return self._admits() and (await self._ask_one(self._reachable)).healthy

    async def _ask(self) -> Health:
        reachable, *found = await asyncio.gather(
            *map(self._ask_one, (self._reachable, *self._checks.values()))
        )
        components = dict(zip(self._checks, found, strict=True))
        status: Status = "healthy" if all(one.healthy for one in found) else "degraded"
        if not components["inference"].healthy:
            status = "unhealthy"
        return Health(status, components, model_loaded=reachable.healthy)

    async def _ask_one(self, check: Check) -> ComponentHealth:
        started = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                await check()
            healthy = True
        except Exception:
            # Whatever it is, the component does not work; its own log says more.
            healthy = False
        return ComponentHealth(healthy, round((self._clock() - started) * 1000, 3))


def grpc_check(channel: grpc.aio.Channel, service: str = "") -> Check:
    """Asks the gRPC health of a server, or of one service on it."""
    ask = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )

    async def check() -> None:
        answer = await ask(health_pb2.HealthCheckRequest(service=service))
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise NotServing

    return check
