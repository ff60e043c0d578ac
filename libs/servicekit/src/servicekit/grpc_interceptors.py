"""What every unary call passes on its way to a servicer, in the order of `GrpcServer`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeAlias, cast

import grpc
import structlog
from grpc.aio import ServicerContext
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from servicekit import request_context
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import (
    DeadlineExceeded,
    Internal,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
)
from servicekit.grpc_errors import code_of, to_status

_log = structlog.get_logger(__name__)

# Generic in the type stubs alone, hence the quotes.
Context: TypeAlias = "ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Behaviour: TypeAlias = "Callable[[Any, Context], Awaitable[Any]]"
Details = grpc.HandlerCallDetails

PUBLIC_SERVICES = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)

CALLS = Counter("weir_grpc_server_calls_total", "Finished gRPC calls.", ["method", "code"])
SECONDS = Histogram(
    "weir_grpc_server_seconds",
    "Time that gRPC calls took, seconds.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class UnaryInterceptor(grpc.aio.ServerInterceptor):
    """Calls `around` for each unary call; streaming calls pass untouched."""

    async def around(self, method: str, inner: Behaviour, request: Any, context: Context) -> Any:
        """Does its part and awaits `inner(request, context)`."""
        raise AssertionError("a subclass says what to do")

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Handler]], handler_call_details: Details
    ) -> Handler:
        """Wraps the handler (gRPC's own hook)."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler.response_streaming:
            return handler
        inner = cast("Behaviour", handler.unary_unary)
        method = str(handler_call_details.method)

        async def call(request: Any, context: Context) -> Any:
            return await self.around(method, inner, request, context)

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )


class RequestContextInterceptor(UnaryInterceptor):
    """Sets the request's id and deadline, from the caller where it states them."""

    def __init__(self, default_timeout: float) -> None:
        self._default_timeout = default_timeout

    async def around(self, method: str, inner: Behaviour, request: Any, context: Context) -> Any:
        """Binds them to the call's own context."""
        metadata = dict(context.invocation_metadata() or ())
        offered = metadata.get("x-request-id")
        request_context.request_id.set(
            request_context.accept_request_id(offered if isinstance(offered, str) else None)
        )
        remaining = context.time_remaining()
        timeout = min(self._default_timeout, remaining if remaining is not None else float("inf"))
        request_context.deadline.set(time.monotonic() + timeout)
        return await inner(request, context)


class ObservationInterceptor(UnaryInterceptor):
    """Counts, times and logs each call."""

    async def around(self, method: str, inner: Behaviour, request: Any, context: Context) -> Any:
        """Ends with one log event, whatever happened."""
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            return await inner(request, context)
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except BaseException:
            code = _as_code(context.code())
            raise
        finally:
            elapsed = time.perf_counter() - started
            CALLS.labels(method, code.name).inc()
            SECONDS.labels(method).observe(elapsed)
            # Probes come every few seconds and say nothing that health does not.
            write = _log.debug if _service_of(method) in PUBLIC_SERVICES else _log.info
            write("grpc_call", method=method, code=code.name, seconds=round(elapsed, 5))


class ErrorInterceptor(UnaryInterceptor):
    """Answers with the status of a service error; anything else is logged whole and kept inside."""

    async def around(self, method: str, inner: Behaviour, request: Any, context: Context) -> Any:
        """Also ends the call at its deadline."""
        deadline = request_context.deadline.get()
        left = None if deadline is None else deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                return await inner(request, context)
        except ServiceError as error:
            await _abort(context, error)
        except TimeoutError:
            await _abort(context, DeadlineExceeded("The call took too long."))
        except (grpc.aio.AbortError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("unexpected_error", method=method)
            await _abort(context, Internal("Something went wrong inside; the log knows more."))


class AuthInterceptor(UnaryInterceptor):
    """Lets a call pass when its bearer token is valid and holds the method's scope.

    Denies by default: a method that `scopes` does not name is only open if it belongs to a service
    in `PUBLIC_SERVICES`.
    """

    def __init__(self, verifier: AccessTokenVerifier, scopes: Mapping[str, str]) -> None:
        self._verifier = verifier
        self._scopes = scopes

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Handler]], handler_call_details: Details
    ) -> Handler:
        """Lets public services through, whatever the shape of their calls."""
        method = str(handler_call_details.method)
        if _service_of(method) in PUBLIC_SERVICES:
            return await continuation(handler_call_details)
        return await super().intercept_service(continuation, handler_call_details)

    async def around(self, method: str, inner: Behaviour, request: Any, context: Context) -> Any:
        """Sets the principal that the servicer sees."""
        scope = self._scopes.get(method)
        if scope is None:
            raise PermissionDenied("This method is not open to anybody.")
        caller = await self._verifier.verify(_bearer_token(context))
        if scope not in caller.scopes:
            raise PermissionDenied(f"The token lacks the scope {scope}.", reason="SCOPE_MISSING")
        request_context.principal.set(caller)
        return await inner(request, context)


def _service_of(method: str) -> str:
    return method.strip("/").partition("/")[0]


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
