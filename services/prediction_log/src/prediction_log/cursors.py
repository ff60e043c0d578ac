"""Cursors of lists: where the next page begins, bound to the list that they were made for.

`matching` is whatever tells one list of a tenant from another, by its `repr`.

The binding is a plain hash, no signature: it finds cursors that were changed or taken to another
tenant or filter. Somebody who computes one gains nothing that a filter by time would not give,
because the tenant never comes from the cursor.
"""

import base64
import binascii
import hashlib
from uuid import UUID

from prediction_log.errors import InvalidRequest
from servicekit.errors import FieldViolation

_DIGEST_BYTES = 16


def make_cursor(tenant: str, matching: object, last: UUID) -> str:
    """The cursor of the page after the one that ends with `last`."""
    content = last.bytes + _digest(tenant, matching, last)
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def read_cursor(tenant: str, matching: object, cursor: str) -> UUID:
    """The id that the page before ended with.

    Raises:
        InvalidRequest: it is no cursor, or one of another list.
    """
    try:
        padding = "=" * (-len(cursor) % 4)
        content = base64.b64decode((cursor + padding).encode("ascii"), b"-_", validate=True)
        last = UUID(bytes=content[:16])
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error
    if content[16:] != _digest(tenant, matching, last):
        raise _invalid()
    return last


def _digest(tenant: str, matching: object, last: UUID) -> bytes:
    bound = repr((tenant, matching, last)).encode()
    return hashlib.sha256(bound).digest()[:_DIGEST_BYTES]


def _invalid() -> InvalidRequest:
    return InvalidRequest(
        "The cursor does not belong to this list.",
        reason="CURSOR_INVALID",
        violations=[FieldViolation("cursor", "was not given by this list with this filter")],
    )
