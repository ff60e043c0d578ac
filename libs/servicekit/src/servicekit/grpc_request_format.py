"""Requests whose bytes are no message: refused with a status that says so.

gRPC itself would answer UNKNOWN with the exception's text.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from servicekit.errors import InvalidInput
from servicekit.grpc_call_shapes import (
    Context,
    Handler,
    WrappedHandlers,
    behaviour_of,
    with_behaviour,
)
from servicekit.grpc_interceptors import is_public


class RequestMalformed(InvalidInput):
    """The bytes are no message of the method's request type, for example for a text's bad UTF-8."""

    reason = "REQUEST_MALFORMED"


class _Unreadable:
    """Stands in the message's place until the call has reached what may refuse it."""


class RequestFormatInterceptor(grpc.aio.ServerInterceptor):
    """Raises RequestMalformed inside the call; belongs behind everything that may refuse first."""

    def __init__(self) -> None:
        self._handlers = WrappedHandlers(_checking)

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Wraps the handler (gRPC's own hook)."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return self._handlers.of(str(handler_call_details.method), handler)


def _checking(method: str, handler: Handler) -> Handler:
    # A health watch writes its answers, which no generator here could pass on.
    writes = handler.response_streaming and is_public(method)
    if handler.request_deserializer is None or writes:
        return handler
    deserialize = handler.request_deserializer
    inner = behaviour_of(handler)

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _Unreadable()

    def check(request: Any, context: Context) -> Any:
        if handler.request_streaming:
            return inner(_readable_ones(request), context)
        return inner(_readable(request), context)

    async def answer(request: Any, context: Context) -> Any:
        return await check(request, context)

    async def answers(request: Any, context: Context) -> AsyncIterator[Any]:
        async for message in check(request, context):
            yield message

    behaviour = answers if handler.response_streaming else answer
    return with_behaviour(handler, behaviour, deserializer=read)


def _readable(request: Any) -> Any:
    if isinstance(request, _Unreadable):
        raise RequestMalformed("The request cannot be read as the message that the method takes.")
    return request


async def _readable_ones(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _readable(request)
