"""What a failed call to a service behind the gateway means to the gateway's own caller."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from google.protobuf.message import Message
from grpc.aio import AioRpcError

from gateway.errors import UpstreamFailed
from servicekit.errors import (
    DeadlineExceeded,
    Exhausted,
    Internal,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from servicekit.grpc_errors import from_rpc_error

_log = structlog.get_logger(__name__)
AnswerT = TypeVar("AnswerT")


async def answer_of(service: str, call: Awaitable[AnswerT]) -> AnswerT:
    """Awaits a call.

    Raises:
        ServiceError: of the kind that the caller should hear.
    """
    with upstream_errors(service):
        return await call


@contextmanager
def upstream_errors(service: str) -> Iterator[None]:
    """Turns a failed call within it into what the caller should hear.

    Raises:
        ServiceError: of that kind.
    """
    try:
        yield
    except AioRpcError as error:
        raise _told(from_rpc_error(error, service), service) from error


def optional_field(message: Message, name: str) -> Any:
    """The value of an answer's optional field; None when it is absent."""
    return getattr(message, name) if message.HasField(name) else None


def _told(error: ServiceError, service: str) -> ServiceError:
    if isinstance(error, Unauthenticated | PermissionDenied | Internal):
        # The service refused the gateway or broke: neither is the caller's doing.
        _log.error("upstream_failed", upstream=service, code=error.code, detail=error.message)
        return UpstreamFailed(f"{service} failed.", reason=f"{service.upper()}_FAILED")
    if isinstance(error, DeadlineExceeded):
        # Whoever noticed first, it is one thing to the caller.
        reason = f"{service.upper()}_DEADLINE_EXCEEDED"
        return DeadlineExceeded(f"{service} did not answer in time.", reason=reason)
    if isinstance(error, Exhausted):
        # A full service is no quota of the caller's.
        return Unavailable(error.message, reason=error.code, retry_after=error.retry_after or 1.0)
    if isinstance(error, Unavailable) and error.retry_after is None:
        return Unavailable(error.message, reason=error.code, retry_after=1.0)
    return error
