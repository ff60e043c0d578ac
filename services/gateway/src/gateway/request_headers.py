"""What the envelope reads of a request's headers, found in one pass over them."""

import math
from dataclasses import dataclass

from starlette.types import Scope

from gateway.request_errors import TimeoutMalformed
from servicekit.errors import FieldViolation

TIMEOUT_HEADER = "X-Request-Timeout"


@dataclass(frozen=True, slots=True)
class EnvelopeHeaders:
    """The headers that mean something on every route."""

    request_id: str | None
    timeout: str | None


def envelope_headers(scope: Scope) -> EnvelopeHeaders:
    """The headers of a request; of several with one name the first counts."""
    request_id = timeout = None
    for name, value in scope["headers"]:
        # By their lengths first: nearly all headers are others.
        if len(name) == 12 and name == b"x-request-id":
            request_id = request_id or value.decode("latin-1")
        elif len(name) == 17 and name == b"x-request-timeout":
            timeout = timeout or value.decode("latin-1")
    return EnvelopeHeaders(request_id, timeout)


def first_values(scope: Scope) -> dict[bytes, bytes]:
    """A request's headers by their names in lower case; of several with one name the first."""
    # Nearly all are asked for but once, and a look at each in turn costs more than all of this.
    return dict(reversed(scope["headers"]))


def seconds_from(stated: str) -> float:
    """The seconds that X-Request-Timeout states, such as `2` or `0.25`.

    Raises:
        TimeoutMalformed: it states something else, or no time at all.
    """
    whole, _, fraction = stated.partition(".")
    if whole.isascii() and whole.isdecimal() and len(stated) <= 16:
        seconds = float(stated) if not fraction or fraction.isdecimal() else math.nan
        if seconds > 0:
            return seconds
    fault = FieldViolation(TIMEOUT_HEADER, "is no positive number of seconds, such as 2 or 0.25")
    raise TimeoutMalformed("The request's timeout cannot be read.", violations=[fault])
