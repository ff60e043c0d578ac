"""The table between service errors and gRPC: google.rpc.Status out, and back in at a client."""

from typing import cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError
from grpc_status import rpc_status

from servicekit.errors import (
    Conflict,
    DeadlineExceeded,
    Exhausted,
    FieldViolation,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "weir"
_CODES: dict[type[ServiceError], grpc.StatusCode] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.ALREADY_EXISTS,
    Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Internal: grpc.StatusCode.INTERNAL,
}
_KINDS = {code: kind for kind, code in _CODES.items()}


def code_of(error: ServiceError) -> grpc.StatusCode:
    """The gRPC code of a service error, by its nearest kind."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            return _CODES[kind]
    return grpc.StatusCode.INTERNAL


def to_status(error: ServiceError, request_id: str) -> status_pb2.Status:
    """The error as google.rpc.Status: ErrorInfo, and BadRequest and RetryInfo where they apply."""
    details = [
        error_details_pb2.ErrorInfo(
            reason=error.code, domain=DOMAIN, metadata={"request_id": request_id}
        )
    ]
    packed = [_pack(detail) for detail in details]
    if error.violations:
        bad = error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(
                    field=violation.field, description=violation.description
                )
                for violation in error.violations
            ]
        )
        packed.append(_pack(bad))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        packed.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=code_of(error).value[0], message=error.message, details=packed)


def from_rpc_error(error: AioRpcError, service: str) -> ServiceError:
    """What a failed call means to the caller of `service`.

    A status that is not ours (nobody listens, the deadline passed on our side) keeps its kind and
    gets a message that reveals no address.
    """
    kind = _KINDS.get(error.code(), Internal)
    status = rpc_status.from_call(cast("grpc.Call", error))
    if status is None:
        retry_after = 1.0 if kind is Unavailable else None
        message = f"{service} {_UNSAID.get(kind, 'failed')}."
        reason = f"{service.upper()}_{kind.reason}"
        return kind(message, reason=reason, retry_after=retry_after)
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for known in (info, bad, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    return kind(
        status.message,
        reason=info.reason or None,
        violations=[FieldViolation(v.field, v.description) for v in bad.field_violations],
        retry_after=_seconds(retry),
    )


def _seconds(retry: error_details_pb2.RetryInfo) -> float | None:
    return retry.retry_delay.ToNanoseconds() / 1e9 if retry.HasField("retry_delay") else None


_UNSAID: dict[type[ServiceError], str] = {
    Unavailable: "is away for the moment",
    DeadlineExceeded: "did not answer in time",
    Exhausted: "is full",
}


def _pack(
    message: error_details_pb2.ErrorInfo
    | error_details_pb2.BadRequest
    | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
