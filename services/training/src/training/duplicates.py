"""Finds texts that are the same but for case, punctuation and white space, within and across sets.

Keys are digests of the normalised text, so that a comparison of millions fits into memory.
"""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from training.labelled_rows import LabelledRow

Key = bytes


@dataclass(slots=True)
class Deduplicated:
    """What is left of a set, and how many rows of each source went for which reason."""

    rows: list[LabelledRow] = field(default_factory=list)
    dropped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def near_key(text: str) -> Key:
    """Equal for texts that differ in case, punctuation, white space or compatibility forms only.

    A text of nothing but punctuation keeps it: ":)" and ":(" are different texts.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_punctuation())
    return _digest("".join(plain.split()) or text)


def deduplicate(
    rows: Sequence[LabelledRow], tick: Callable[[], object] = lambda: None
) -> Deduplicated:
    """Keep the first of every group of equal or nearly equal texts.

    A group whose labels disagree goes whole, as ``contradictory``: nobody can say which is right.
    ``tick`` is called for every row.
    """
    labels: dict[Key, int] = {}
    contradictory: set[Key] = set()
    keys = []
    for row in rows:
        key = near_key(row.text)
        keys.append(key)
        if labels.setdefault(key, row.label) != row.label:
            contradictory.add(key)
        tick()
    result = Deduplicated()
    first: dict[Key, Key] = {}
    for row, key in zip(rows, keys, strict=True):
        exact = _digest(row.text)
        if key in contradictory:
            result.dropped[row.source]["contradictory"] += 1
        elif key not in first:
            first[key] = exact
            result.rows.append(row)
        else:
            reason = "duplicate" if first[key] == exact else "near_duplicate"
            result.dropped[row.source][reason] += 1
    return result


def leaked(rows: Iterable[LabelledRow], protected: Collection[Key]) -> list[LabelledRow]:
    """The rows whose text is, or nearly is, one of the ``protected`` texts."""
    return [row for row in rows if near_key(row.text) in protected]


def _digest(text: str) -> Key:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


@cache
def _punctuation() -> dict[int, None]:
    every = range(sys.maxunicode + 1)
    return {code: None for code in every if unicodedata.category(chr(code)).startswith("P")}
