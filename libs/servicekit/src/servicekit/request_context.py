"""What travels with one request through a process: its id, its deadline and who asks."""

import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller, as its access token describes it."""

    client_id: str
    tenant: str
    scopes: frozenset[str]
    token_id: str
    expires_at: float
    """Seconds since the epoch."""
    issued_at: float = 0.0
    """Seconds since the epoch."""
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    """All that the verified token says, for those who look for more than this."""


request_id: ContextVar[str] = ContextVar("request_id", default="")
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""On the clock of `time.monotonic`, seconds."""
principal: ContextVar[Principal] = ContextVar("principal")
"""Set wherever a method is not public; reading it elsewhere raises LookupError."""


def accept_request_id(offered: str | None) -> str:
    """The caller's request id where it is well formed, else a new one."""
    if offered and _WELL_FORMED_ID.fullmatch(offered):
        return offered
    return token_hex(16)


def time_left(limit: float) -> float:
    """Seconds until the request's deadline, at most `limit`; 0 when it has passed."""
    at = deadline.get()
    return limit if at is None else max(0.0, min(limit, at - time.monotonic()))
