"""What may go: decided from the classes' days and from what the months hold."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prediction_log.partitions import months_from
from prediction_log.retention_classes import RetentionClasses

_VALUE = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table that holds rows of one month."""

    name: str
    month: str
    """The month's table; the leaf itself where the month has no classes."""
    month_end: datetime
    classes: frozenset[str] | None
    """None for one that takes whatever has no leaf of its own."""
    rows: int
    """As PostgreSQL estimates them."""
    size: int
    """Bytes, indexes included."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A month or a leaf that is to be dropped."""

    table: str
    month_end: datetime
    classes: tuple[str, ...]
    """Empty where it held whatever came."""
    rows: int
    size: int


def classes_in(bound: str) -> frozenset[str] | None:
    """The values of `FOR VALUES IN (…)`; None for any other bound."""
    if not bound.startswith("FOR VALUES IN"):
        return None
    return frozenset(value.replace("''", "'") for value in _VALUE.findall(bound))


def cutoff(now: datetime, days: int) -> datetime:
    """Predictions before this moment are of months that ended more than `days` ago."""
    return months_from(now.astimezone(UTC) - timedelta(days=days), 1)[0]


def expired(leaves: Iterable[Leaf], classes: RetentionClasses, now: datetime) -> list[Expired]:
    """What is older than the longest class that can be in it, oldest first.

    A month goes as a whole where all of its leaves may. The leaf of all other classes stays as
    long as its month: something of it may still come late.
    """
    months: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        months.setdefault(leaf.month, []).append(leaf)
    found: list[Expired] = []
    for month, members in sorted(months.items()):
        over = [leaf for leaf in members if _is_over(leaf, members, classes, now)]
        if len(over) == len(members):
            found.append(_expired(month, over))
        else:
            found += [_expired(leaf.name, [leaf]) for leaf in over if leaf.classes is not None]
    return found


def _is_over(leaf: Leaf, month: Sequence[Leaf], classes: RetentionClasses, now: datetime) -> bool:
    held = leaf.classes
    if held is None:
        apart = frozenset().union(*(other.classes or () for other in month))
        held = frozenset({*classes.days, classes.default}) - apart
        # It also takes classes that nobody configured.
        longest = max(classes.days_of(name) for name in {*held, classes.default})
    else:
        longest = max(classes.days_of(name) for name in held)
    return leaf.month_end <= cutoff(now, longest)


def _expired(table: str, leaves: Sequence[Leaf]) -> Expired:
    return Expired(
        table=table,
        month_end=leaves[0].month_end,
        classes=tuple(sorted({name for leaf in leaves for name in leaf.classes or ()})),
        rows=sum(leaf.rows for leaf in leaves),
        size=sum(leaf.size for leaf in leaves),
    )
