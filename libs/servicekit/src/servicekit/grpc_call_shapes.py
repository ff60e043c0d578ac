"""The four shapes of a gRPC call, so that what surrounds calls is written once for all of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, TypeAlias, cast

import grpc
from grpc.aio import ServicerContext

# Generic in the type stubs alone, hence the quotes.
Context: TypeAlias = "ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour: TypeAlias = "Callable[[Any, Context], Any]"
"""What a servicer's method does: returns an awaitable of the response, or an asynchronous generator
of responses. Methods that call `context.write` are not supported."""


class WrappedHandlers:
    """What an interceptor makes of each method's handler: made with its first call, then kept."""

    def __init__(self, wrap: "Callable[[str, Handler], Handler]") -> None:
        self._wrap = wrap
        self._made: dict[str, tuple[Handler, Handler]] = {}

    def of(self, method: str, handler: Handler) -> Handler:
        """The wrapped handler, anew only when what it wraps is another one."""
        made = self._made.get(method)
        if made is None or made[0] is not handler:
            made = self._made[method] = (handler, self._wrap(method, handler))
        return made[1]


def is_streaming(handler: Handler) -> bool:
    """Whether one of the sides sends any number of messages."""
    return bool(handler.request_streaming or handler.response_streaming)


def behaviour_of(handler: Handler) -> Behaviour:
    """The function that answers."""
    return cast("Behaviour", getattr(handler, _shape(handler)))


def with_behaviour(
    handler: Handler,
    behaviour: Behaviour,
    deserializer: Callable[[bytes], Any] | None = None,
) -> Handler:
    """A handler of the same shape that answers with another function.

    Args:
        deserializer: of requests; the handler's own by default.
    """
    make = getattr(grpc, f"{_shape(handler)}_rpc_method_handler")
    return cast(
        "Handler",
        make(behaviour, deserializer or handler.request_deserializer, handler.response_serializer),
    )


def surrounded(
    handler: Handler, around: Callable[[Context], AbstractAsyncContextManager[None]]
) -> Handler:
    """A handler whose calls run, from their first to their last message, inside of `around`."""
    inner = behaviour_of(handler)

    async def answer(request: Any, context: Context) -> Any:
        async with around(context):
            return await cast("Awaitable[Any]", inner(request, context))

    async def answers(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(context), aclosing(inner(request, context)) as messages:
            async for message in messages:
                yield message

    return with_behaviour(handler, answers if handler.response_streaming else answer)


def _shape(handler: Handler) -> str:
    sides = (handler.request_streaming, handler.response_streaming)
    return "_".join("stream" if streaming else "unary" for streaming in sides)
