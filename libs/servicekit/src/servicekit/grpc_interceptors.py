"""What every call passes on its way to a servicer, in the order of `GrpcServer`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from grpc_status import rpc_status
from prometheus_client import Counter, Gauge, Histogram

from servicekit import request_context
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.delegates import DELEGATE_SCOPE, Delegates
from servicekit.errors import (
    DeadlineExceeded,
    Internal,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
)
from servicekit.exemplars import current_exemplar
from servicekit.grpc_call_shapes import (
    Context,
    Handler,
    WrappedHandlers,
    behaviour_of,
    is_streaming,
    surrounded,
    with_behaviour,
)
from servicekit.grpc_errors import code_of, to_status

_log = structlog.get_logger(__name__)

Details = grpc.HandlerCallDetails
Continuation: TypeAlias = "Callable[[Details], Awaitable[Handler | None]]"

PUBLIC_SERVICES = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)

ANYBODY = ""
"""In place of a method's scope: it needs no token, and says nothing worth one."""

CALLS = Counter("weir_grpc_server_calls_total", "Finished gRPC calls.", ["method", "code"])
SECONDS = Histogram(
    "weir_grpc_server_call_seconds",
    "Time that gRPC calls took, seconds.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT = Gauge("weir_grpc_server_calls_in_flight", "gRPC calls that are being answered now.")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Runs each call inside of `around`; streams of public services pass untouched."""

    @cached_property
    def _handlers(self) -> WrappedHandlers:
        return WrappedHandlers(self._wrapped)

    def around(
        self, method: str, context: Context, *, streaming: bool
    ) -> AbstractAsyncContextManager[None]:
        """Entered before the servicer sees the call, left when the call has ended."""
        raise AssertionError("a subclass says what to do")

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: Details
    ) -> "Handler | None":
        """Wraps the handler (gRPC's own hook)."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return self._handlers.of(str(handler_call_details.method), handler)

    def _wrapped(self, method: str, handler: Handler) -> Handler:
        streaming = is_streaming(handler)
        # A health watch goes on for days, by design.
        if streaming and is_public(method):
            return handler
        return surrounded(
            handler, lambda context: self.around(method, context, streaming=streaming)
        )


class AnswerStreamInterceptor(grpc.aio.ServerInterceptor):
    """Sends streams of answers from within the call's own task.

    gRPC leaves the generator of an abandoned call to the garbage collector, which ends it in some
    other task, where spans and deadlines cannot be closed as they were opened.
    """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: Details
    ) -> "Handler | None":
        """Wraps the handler (gRPC's own hook)."""
        handler = await continuation(handler_call_details)
        public = is_public(str(handler_call_details.method))
        if handler is None or public or not handler.response_streaming:
            return handler
        inner = behaviour_of(handler)

        async def send(request: Any, context: Context) -> None:
            async with aclosing(inner(request, context)) as answers:
                async for answer in answers:
                    await context.write(answer)

        return with_behaviour(handler, send)


class RequestContextInterceptor(CallInterceptor):
    """Sets the request's id and deadline, from the caller where it states them.

    Args:
        default_timeout: longest that a call with one message on each side may take, seconds.
        stream_timeout: longest that any other call may take, seconds.
    """

    def __init__(self, default_timeout: float, stream_timeout: float) -> None:
        self._default_timeout = default_timeout
        self._stream_timeout = stream_timeout

    @asynccontextmanager
    async def around(
        self, method: str, context: Context, *, streaming: bool
    ) -> AsyncIterator[None]:
        """Binds them to the call's own context."""
        metadata = dict(context.invocation_metadata() or ())
        offered = metadata.get("x-request-id")
        request_context.request_id.set(
            request_context.accept_request_id(offered if isinstance(offered, str) else None)
        )
        remaining = context.time_remaining()
        longest = self._stream_timeout if streaming else self._default_timeout
        timeout = min(longest, remaining if remaining is not None else float("inf"))
        request_context.deadline.set(time.monotonic() + timeout)
        yield


class ObservationInterceptor(CallInterceptor):
    """Counts, times and logs each call."""

    @asynccontextmanager
    async def around(
        self, method: str, context: Context, *, streaming: bool
    ) -> AsyncIterator[None]:
        """Ends with one log event, whatever happened."""
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        IN_FLIGHT.inc()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        except BaseException:
            code = _as_code(context.code())
            raise
        finally:
            elapsed = time.perf_counter() - started
            IN_FLIGHT.dec()
            count, times = _series(method, code.name)
            count.inc()
            times.observe(elapsed, current_exemplar())
            # Probes come every few seconds and say nothing that health does not.
            write = _log.debug if is_public(method) else _log.info
            write("grpc_call", method=method, code=code.name, seconds=round(elapsed, 5))


class ErrorInterceptor(CallInterceptor):
    """Answers with the status of a service error; anything else is logged whole and kept inside."""

    @asynccontextmanager
    async def around(
        self, method: str, context: Context, *, streaming: bool
    ) -> AsyncIterator[None]:
        """Also ends the call at its deadline."""
        deadline = request_context.deadline.get()
        left = None if deadline is None else deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                yield
        except ServiceError as error:
            await _abort(context, error)
        except TimeoutError:
            await _abort(context, DeadlineExceeded("The call took too long."))
        except (grpc.aio.AbortError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("unexpected_error", method=method)
            await _abort(context, Internal("Something went wrong inside; the log knows more."))


class AuthInterceptor(CallInterceptor):
    """Lets a call pass when its bearer token is valid and holds the method's scope.

    Denies by default: a method that `scopes` does not name is only open if it belongs to a service
    in `PUBLIC_SERVICES`. One that it names with `ANYBODY` is open. Whoever is no delegate loses the
    scope of one.
    """

    def __init__(
        self, verifier: AccessTokenVerifier, scopes: Mapping[str, str], delegates: Delegates
    ) -> None:
        self._verifier = verifier
        self._scopes = scopes
        self._delegates = delegates

    @asynccontextmanager
    async def around(
        self, method: str, context: Context, *, streaming: bool
    ) -> AsyncIterator[None]:
        """Sets the principal that the servicer sees."""
        if not is_public(method) and self._scopes.get(method) != ANYBODY:
            request_context.principal.set(await self._caller(method, context))
        yield

    async def _caller(self, method: str, context: Context) -> request_context.Principal:
        scope = self._scopes.get(method)
        if scope is None:
            raise PermissionDenied("This method is not open to anybody.")
        caller = await self._verifier.verify(_bearer_token(context))
        if scope not in caller.scopes:
            raise PermissionDenied(f"The token lacks the scope {scope}.", reason="SCOPE_MISSING")
        if DELEGATE_SCOPE in caller.scopes and not self._delegates.include(caller, context):
            return replace(caller, scopes=caller.scopes - {DELEGATE_SCOPE})
        return caller


@cache
def _series(method: str, code: str) -> tuple[Counter, Histogram]:
    """The two children for such a call; there are as many as methods and codes."""
    return CALLS.labels(method, code), SECONDS.labels(method)


def is_public(method: str) -> bool:
    """Whether a method, by its full name, belongs to a service that is open to everybody."""
    return method.strip("/").partition("/")[0] in PUBLIC_SERVICES


def _bearer_token(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer" and token:
                return token.strip()
    raise Unauthenticated("A bearer token is needed.", reason="TOKEN_MISSING")


async def _abort(context: Context, error: ServiceError) -> NoReturn:
    status = rpc_status.to_status(to_status(error, request_context.request_id.get()))
    context.set_code(code_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort does not return")


def _as_code(code: object) -> grpc.StatusCode:
    """`ServicerContext.code()` gives the number in some versions and the enumeration in others."""
    for known in grpc.StatusCode:
        if code is known or code == known.value[0]:
            return known
    return grpc.StatusCode.UNKNOWN
