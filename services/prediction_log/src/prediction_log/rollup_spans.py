"""Which whole days and hours make up a range of time, and what is left at its ends."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum


class Granularity(IntEnum):
    """Minutes of a bucket of the rollups; buckets begin with UTC's hours and days."""

    HOUR = 60
    DAY = 1440

    @property
    def length(self) -> timedelta:
        """Of a bucket."""
        return timedelta(minutes=self)

    def floor(self, moment: datetime) -> datetime:
        """The start of the bucket that holds the moment."""
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return hour.replace(hour=0) if self is Granularity.DAY else hour

    def ceil(self, moment: datetime) -> datetime:
        """The first start of a bucket that is not before the moment."""
        start = self.floor(moment)
        return start if start == moment else start + self.length


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time; what is None has no end on that side."""

    start: datetime | None
    """Inclusive."""
    end: datetime | None
    """Exclusive."""

    @property
    def empty(self) -> bool:
        """Whether nothing lies in it."""
        return self.start is not None and self.end is not None and self.start >= self.end


@dataclass(frozen=True, slots=True)
class Division:
    """A range of time, divided into what whole buckets cover and what they do not."""

    buckets: list[tuple[Granularity, Span]]
    rest: list[Span]
    """Shorter than an hour each."""


def divide(span: Span) -> Division | None:
    """Few whole buckets, days before hours; None where the range holds no whole hour."""
    hours = _whole(Granularity.HOUR, span)
    if hours.empty:
        return None
    rest = _around(hours, span)
    days = _whole(Granularity.DAY, hours)
    if days.empty:
        return Division([(Granularity.HOUR, hours)], rest)
    edges = [(Granularity.HOUR, edge) for edge in _around(days, hours)]
    return Division([(Granularity.DAY, days), *edges], rest)


def _whole(granularity: Granularity, span: Span) -> Span:
    return Span(
        span.start and granularity.ceil(span.start), span.end and granularity.floor(span.end)
    )


def _around(inner: Span, outer: Span) -> list[Span]:
    edges = [Span(outer.start, inner.start), Span(inner.end, outer.end)]
    return [edge for edge in edges if edge.start != edge.end]
