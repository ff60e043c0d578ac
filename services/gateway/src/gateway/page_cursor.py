"""Pages of things that are listed by their id."""

import base64
import binascii
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from servicekit.errors import FieldViolation, InvalidInput

ItemT = TypeVar("ItemT")


def page_of(
    items: Iterable[tuple[str, ItemT]], limit: int, cursor: str
) -> tuple[list[ItemT], str | None]:
    """The items after the cursor, and the cursor of the next page; None on the last.

    Args:
        items: by their id, in its order.

    Raises:
        InvalidInput: the cursor is none of ours.
    """
    after = _decoded(cursor)
    found = list(islice((each for each in items if each[0] > after), limit + 1))
    more = len(found) > limit
    page = found[:limit]
    following = base64.urlsafe_b64encode(page[-1][0].encode()).decode() if more else None
    return [item for _, item in page], following


def _decoded(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor.encode("ascii")).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        fault = FieldViolation("cursor", "is none that a page gave")
        raise InvalidInput("The query cannot be taken.", violations=[fault]) from error
