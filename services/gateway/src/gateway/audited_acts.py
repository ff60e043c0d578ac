"""What administrators do, told to the audit trail whether it was done or refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request

from gateway.access import Caller
from gateway.audit_trail import AuditTrail
from servicekit.errors import ServiceError


@dataclass(slots=True)
class Act:
    """An act under way."""

    target: str
    """What it is done to, as soon as that is known."""


@contextmanager
def audited(
    audit: AuditTrail, request: Request, caller: Caller, action: str, target: str = ""
) -> Iterator[Act]:
    """Records the act when it has ended.

    Args:
        action: for example "client.create".
        target: a client's or a key's id.
    """
    act = Act(target)
    reason = ""
    try:
        yield act
    except ServiceError as error:
        reason = error.code
        raise
    finally:
        audit.record(
            action,
            client_id=caller.client_id,
            tenant=caller.tenant,
            client_address=request.client.host if request.client else "",
            reason=reason,
            target=act.target[:128],
        )
