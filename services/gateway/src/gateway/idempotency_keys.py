"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header)."""

import re
from typing import Annotated

from fastapi import Header
from pydantic import AfterValidator

HEADER = "Idempotency-Key"
_MAX_KEY = 128
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\(.)")


def key_from(header: str) -> str:
    """The key in a header's value: a string of RFC 9651, or, as most clients send it, bare.

    Raises:
        ValueError: it is none.
    """
    quoted = _QUOTED.fullmatch(header)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else header
    if not 1 <= len(key) <= _MAX_KEY:
        raise ValueError(f"is not 1 to {_MAX_KEY} characters long")
    if not all(" " <= character <= "~" for character in key):
        raise ValueError("holds something else than printable ASCII characters")
    return key


DESCRIPTION = (
    "Repeating the request with the same key is the same request "
    "(draft-ietf-httpapi-idempotency-key-header). Up to 128 printable ASCII characters, in quotes "
    "or without."
)
IdempotencyKey = Annotated[
    str | None,
    AfterValidator(lambda header: None if header is None else key_from(header)),
    Header(alias=HEADER, description=DESCRIPTION),
]
