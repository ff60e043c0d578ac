"""Errors that a service may answer with, in words that know neither HTTP nor gRPC.

A service derives its own from these and names the `reason`; one table per transport
(`grpc_errors` here, the gateway's for HTTP) turns the kind into a status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that cannot be taken, by its path, and why."""

    field: str
    description: str


class ServiceError(Exception):
    """Something that the caller may be told.

    Args:
        message: for people; never holds a secret, a query or a prediction's input.
        reason: stable code in UPPER_SNAKE_CASE; the class's own by default.
        violations: the fields that are wrong, where the request is at fault.
        retry_after: seconds after which another try makes sense; None where it does not.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = reason or self.reason
        self.violations = tuple(violations)
        self.retry_after = retry_after


class InvalidInput(ServiceError):
    """The request can never succeed as it is."""

    reason = "INVALID_INPUT"


class Unauthenticated(ServiceError):
    """Nobody, or nobody known, is asking."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(ServiceError):
    """The caller is known and may not do this."""

    reason = "PERMISSION_DENIED"


class NotFound(ServiceError):
    """There is no such thing, or none that this caller may know of."""

    reason = "NOT_FOUND"


class Conflict(ServiceError):
    """The request contradicts what is already there."""

    reason = "CONFLICT"


class Exhausted(ServiceError):
    """A quota or a queue is full."""

    reason = "EXHAUSTED"


class DeadlineExceeded(ServiceError):
    """The answer would come too late."""

    reason = "DEADLINE_EXCEEDED"


class Unavailable(ServiceError):
    """Something that the answer needs is away for now."""

    reason = "UNAVAILABLE"


class Internal(ServiceError):
    """A fault of ours. The message stays general; what happened is in the log."""

    reason = "INTERNAL"
