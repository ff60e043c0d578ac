"""Numbers about all predictions that match.

Where the filter is one that the rollups know (model, version, shadow, time), whole hours and days
come from them and only what is left at the two ends from rows: three months cost milliseconds.
Few predictions, and those that other fields pick, are counted row by row, with exact quantiles.
"""

from dataclasses import replace

from prediction_log.database import Database
from prediction_log.domain import PredictionFilter, PredictionStats
from prediction_log.prediction_counts import count_exactly, count_into
from prediction_log.rollup_queries import add_rollups, are_complete
from prediction_log.rollup_spans import Division, Span, divide
from prediction_log.tally import Tally

_FEW = 10_000
"""Predictions that are counted one by one: quicker than anybody notices, and exact."""


class PredictionStatistics:
    """Counts one tenant at a time.

    Raises LogStoreUnavailable while the database is away, and QueryTooSlow where more matches than
    can be counted in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def over(self, tenant: str, matching: PredictionFilter) -> PredictionStats:
        """Numbers over all that match.

        Latency quantiles of more than 10 000 predictions are `histograms.LATENCY_ERROR` off at
        most where the rollups know the filter; else they are exact. Rollups go on counting what
        retention has dropped.
        """
        division = _division(matching)
        async with self._database.transaction() as connection:
            if division is not None and await are_complete(connection):
                tally = Tally()
                await add_rollups(tally, connection, tenant, matching, division.buckets)
                for span in division.rest:
                    rest = replace(matching, predicted_from=span.start, predicted_before=span.end)
                    await count_into(tally, connection, tenant, rest)
                if tally.predictions > _FEW:
                    return tally.stats()
            return await count_exactly(connection, tenant, matching)


def _division(matching: PredictionFilter) -> Division | None:
    """None where the rollups cannot tell."""
    known = PredictionFilter(
        model=matching.model,
        model_version=matching.model_version,
        shadow=matching.shadow,
        predicted_from=matching.predicted_from,
        predicted_before=matching.predicted_before,
    )
    if known != matching:
        return None
    return divide(Span(matching.predicted_from, matching.predicted_before))
