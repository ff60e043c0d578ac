"""Statistics by hour or day, from the rollups alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prediction_log.database import Database
from prediction_log.domain import PredictionFilter
from prediction_log.errors import InvalidRequest, StatsNotReady
from prediction_log.rollup_queries import Line, are_complete, tally_lines
from prediction_log.rollup_spans import Granularity, Span
from prediction_log.tally import Tally
from servicekit.errors import FieldViolation

MAX_BUCKETS = 1000
"""Six weeks of hours, or close to three years of days."""
_MOST_ROWS = 10_000
_HOURLY_UP_TO = timedelta(days=7)
_RETRY_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets in which there is something, oldest first."""

    granularity: Granularity
    lines: Mapping[Line, Tally]


class StatsSeries:
    """Charts one tenant at a time.

    Args:
        now: the moment, for ranges that state no end.
    """

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def read(
        self,
        tenant: str,
        matching: PredictionFilter,
        granularity: Granularity | None,
        *,
        by_version: bool,
    ) -> Series:
        """What the buckets hold; quantiles are off by the histograms' errors at most.

        Args:
            matching: its model, version, shadow and time count. The ends of the time are moved
                outwards to the bounds of buckets.
            granularity: None takes hours up to seven days and days beyond.

        Raises:
            InvalidRequest: the range is empty or holds more than fits into an answer.
            StatsNotReady: what is older than the rollups is being counted.
            LogStoreUnavailable: the database is away.
        """
        granularity, span = self._range(matching, granularity)
        # A version of one model is a line of its own already.
        apart = by_version or None not in (matching.model, matching.model_version)
        async with self._database.transaction() as connection:
            if not await are_complete(connection):
                raise StatsNotReady("The statistics are being counted.", retry_after=_RETRY_AFTER)
            lines = await tally_lines(
                connection,
                tenant,
                matching,
                [(granularity, span)],
                apart=apart,
                most_rows=_MOST_ROWS,
            )
        if lines is None:
            raise _bad_range(
                f"makes a series of more than {_MOST_ROWS} buckets of models, versions and "
                "labels; state a model, ask for days, or shorten the range"
            )
        return Series(granularity, lines)

    def _range(
        self, matching: PredictionFilter, granularity: Granularity | None
    ) -> tuple[Granularity, Span]:
        start, end = matching.predicted_from, matching.predicted_before or self._now()
        if granularity is None:
            brief = start is not None and end - start <= _HOURLY_UP_TO
            granularity = Granularity.HOUR if brief else Granularity.DAY
        end = granularity.ceil(end)
        longest = MAX_BUCKETS * granularity.length
        first = end - longest if start is None else granularity.floor(start)
        if first >= end:
            raise _bad_range("is not before the end of the range")
        if end - first > longest:
            raise _bad_range(
                f"makes a series of more than {MAX_BUCKETS} buckets; ask for days, or shorten "
                "the range"
            )
        return granularity, Span(first, end)


def _bad_range(description: str) -> InvalidRequest:
    return InvalidRequest(
        "There is no series of that range.",
        violations=[FieldViolation("predicted_from", description)],
    )
