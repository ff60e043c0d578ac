"""Ranges of time in whole days and hours."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prediction_log.rollup_spans import Granularity, Span, divide

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENTS = st.timedeltas(timedelta(), timedelta(days=8)).map(lambda since: MIDNIGHT + since)


def test_range_within_an_hour_or_across_one_start_has_no_whole_bucket() -> None:
    for start, end in ((0.1, 0.9), (0.5, 1.5), (0.0, 0.5)):
        assert divide(Span(MIDNIGHT + start * HOUR, MIDNIGHT + end * HOUR)) is None


def test_without_ends_there_are_only_days() -> None:
    division = divide(Span(None, None))
    assert division is not None
    assert division.buckets == [(Granularity.DAY, Span(None, None))]
    assert division.rest == []


def test_open_end_leaves_the_beginning() -> None:
    division = divide(Span(MIDNIGHT + 22.5 * HOUR, None))
    assert division is not None
    assert division.buckets == [
        (Granularity.DAY, Span(MIDNIGHT + 24 * HOUR, None)),
        (Granularity.HOUR, Span(MIDNIGHT + 23 * HOUR, MIDNIGHT + 24 * HOUR)),
    ]
    assert division.rest == [Span(MIDNIGHT + 22.5 * HOUR, MIDNIGHT + 23 * HOUR)]


@given(st.lists(MOMENTS, min_size=2, max_size=2, unique=True).map(sorted))
def test_parts_cover_the_range_once(ends: list[datetime]) -> None:
    start, end = ends
    division = divide(Span(start, end))
    if division is None:
        assert end - start < 2 * HOUR
        return
    parts = sorted(
        ((part.start or start, part.end or end) for part in division.rest),
    )
    for granularity, span in division.buckets:
        assert span.start is not None
        assert span.end is not None
        assert granularity.floor(span.start) == span.start
        assert granularity.ceil(span.end) == span.end
        parts.append((span.start, span.end))
    parts.sort()
    assert parts[0][0] == start
    assert parts[-1][1] == end
    assert all(one[1] == other[0] for one, other in pairwise(parts))
    assert all(high - low < HOUR for low, high in parts if Span(low, high) in division.rest)
