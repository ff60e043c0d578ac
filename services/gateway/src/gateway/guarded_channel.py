"""A channel to a service whose calls pass a circuit breaker and may be made again, once.

Stubs are made with it as with any channel. Streams pass as they are: an export cannot be made
again, and its first piece tells soon enough.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random, SystemRandom
from typing import Any, cast

import grpc
from grpc.aio import AioRpcError
from grpc_health.v1.health_pb2 import HealthCheckResponse

from gateway.backend_metrics import BackendMetrics
from gateway.circuit_breaker import CircuitBreaker
from gateway.retry_budget import RetryBudget
from servicekit import request_context

_QUERIES = ("Get", "List", "Server", "Model", "RepositoryIndex")
"""How the names of methods begin that change nothing."""
_HEALTH = "/grpc.health."
_NO_QUERIES = frozenset({"ModelInfer", "ModelStreamInfer"})
_UNSENT = ("failed to connect to all addresses", "connections to all backends failing")
"""How gRPC describes a call for which it found no connection: certainly not executed."""
_DETAILS = "grpc-status-details-bin"
_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 0.1


class GuardedChannel:
    """Wraps the calls of one service.

    Args:
        slow: seconds that a call must have been given before its silence counts as the service's
            failure: a caller who allows a millisecond proves nothing.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        breaker: CircuitBreaker,
        budget: RetryBudget,
        *,
        slow: float,
        metrics: BackendMetrics,
        random: Random | None = None,
    ) -> None:
        self._channel = channel
        self._breaker = breaker
        self._budget = budget
        self._slow = slow
        self._metrics = metrics
        self._random = random or SystemRandom()
        self._cut_off = False
        """Whether a call was refused while there was no connection."""
        # What is not guarded is the channel's own.
        self.unary_stream = channel.unary_stream
        self.stream_unary = channel.stream_unary
        self.stream_stream = channel.stream_stream

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """A method of a stub (gRPC's own hook)."""
        call = cast(
            "Callable[..., Awaitable[Any]]",
            self._channel.unary_unary(method, *arguments, **options),
        )
        if method.startswith(_HEALTH):
            # Whoever asks how the service is wants its own word.
            return self._listening(call)
        name = method.rpartition("/")[2]
        is_query = name.startswith(_QUERIES) and name not in _NO_QUERIES

        async def guarded(request: Any, **about: Any) -> Any:
            self._admit()
            self._budget.earn()
            try:
                return await self._observed(call, name, request, about)
            except AioRpcError as error:
                if not self._may_repeat(error, is_query):
                    raise
            await asyncio.sleep(self._random.uniform(_SHORTEST_WAIT, _LONGEST_WAIT))
            self._admit()
            return await self._observed(call, name, request, about)

        return guarded

    def _admit(self) -> None:
        """Asks the breaker; a connection that is there again is worth a probe at once."""
        if self._breaker.is_open:
            state = self._channel.get_state()
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                self._cut_off = True
            elif state is grpc.ChannelConnectivity.READY and self._cut_off:
                self._cut_off = False
                self._breaker.end_pause()
        self._breaker.admit()

    def _listening(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def listened(request: Any, **about: Any) -> Any:
            answer = await call(request, **about)
            # Who was just told that it serves must not be refused on its behalf.
            if answer.status == HealthCheckResponse.SERVING:
                self._breaker.succeeded()
            return answer

        return listened

    async def _observed(
        self, call: Callable[..., Awaitable[Any]], name: str, request: Any, about: dict[str, Any]
    ) -> Any:
        began = time.monotonic()
        code = grpc.StatusCode.CANCELLED
        try:
            answer = await call(request, **about)
            code = grpc.StatusCode.OK
        except AioRpcError as error:
            code = error.code()
            self._note(error, time.monotonic() - began)
            raise
        finally:
            self._metrics.observe(name, code, time.monotonic() - began)
        self._breaker.succeeded()
        return answer

    def _note(self, error: AioRpcError, seconds: float) -> None:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            if seconds >= self._slow:
                self._breaker.failed("DEADLINE_EXCEEDED")
        elif error.code() is grpc.StatusCode.UNAVAILABLE and not _says_why(error):
            self._breaker.failed("UNAVAILABLE")
        else:
            self._breaker.succeeded()

    def _may_repeat(self, error: AioRpcError, is_query: bool) -> bool:
        if error.code() is not grpc.StatusCode.UNAVAILABLE or _says_why(error):
            return False
        unsent = (error.details() or "").startswith(_UNSENT)
        in_time = request_context.time_left(1.0) > 2 * _LONGEST_WAIT
        return (is_query or unsent) and in_time and self._budget.spend()


def _says_why(error: AioRpcError) -> bool:
    """Whether the service itself refused: it is there, and its reason is worth more than ours."""
    trailers = error.trailing_metadata()
    return trailers is not None and _DETAILS in trailers


def guarded(
    channel: grpc.aio.Channel, backend: str, *, pause: float, slow: float
) -> grpc.aio.Channel:
    """The channel within a breaker and a retry budget of its own.

    Args:
        backend: what logs, metrics and answers call the service.
        pause: seconds between two probes of a service that is away.
        slow: seconds without an answer that count as a failure.
    """
    breaker = CircuitBreaker(backend, pause=pause)
    wrapped = GuardedChannel(
        channel, breaker, RetryBudget(backend), slow=slow, metrics=BackendMetrics(backend)
    )
    return cast("grpc.aio.Channel", wrapped)
