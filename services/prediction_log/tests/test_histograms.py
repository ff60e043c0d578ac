"""Bins and quantiles, in Python and in the database."""

import math
import random
from itertools import pairwise
from typing import Any

import pytest

from prediction_log.histograms import (
    CONFIDENCE_BINS,
    CONFIDENCE_EDGES,
    CONFIDENCE_ERROR,
    LATENCY_BINS,
    LATENCY_EDGES,
    LATENCY_ERROR,
    confidence_bin,
    confidence_quantile,
    latency_bin,
    latency_quantile,
)

CONFIDENCE_POSITIONS = (
    "SELECT rollup_confidence_bin(value) AS bin "
    "FROM unnest(CAST(:values AS double precision[])) WITH ORDINALITY AS given (value, number) "
    "ORDER BY number"
)
LATENCY_POSITIONS = CONFIDENCE_POSITIONS.replace("confidence", "latency")
SHARES = [0.0, 0.05, 0.5, 0.95, 0.99, 1.0]


def around(edges: tuple[float, ...]) -> list[float]:
    """Each edge with its neighbours, and what lies beyond them all."""
    values = [-1.0, 0.0, -0.0, 1.0, 1.0 + 1e-6, 1e9, math.inf]
    for edge in edges:
        values += [math.nextafter(edge, -math.inf), edge, math.nextafter(edge, math.inf)]
    return values


async def test_database_and_python_agree_on_every_edge(log: Any) -> None:
    async def positions(query: str, values: list[float]) -> list[int]:
        return [row["bin"] - 1 for row in await log.rows(query, values=values)]

    confidences, latencies = around(CONFIDENCE_EDGES), around(LATENCY_EDGES)
    assert await positions(CONFIDENCE_POSITIONS, confidences) == [
        confidence_bin(value) for value in confidences
    ]
    assert await positions(LATENCY_POSITIONS, latencies) == [
        latency_bin(value) for value in latencies
    ]
    (row,) = await log.rows(
        "SELECT rollup_confidence_bin('NaN') AS confidence, rollup_latency_bin('NaN') AS latency"
    )
    assert row == {"confidence": CONFIDENCE_BINS, "latency": LATENCY_BINS}


async def test_sum_of_histograms_stays_at_the_largest_integer(log: Any) -> None:
    (row,) = await log.rows("SELECT rollup_add('{1,0,2147483647}', '{2,0,1}') AS total")
    assert row["total"] == [3, 0, 2**31 - 1]


def test_latency_bins_span_50_microseconds_to_a_minute_and_grow_by_7_percent() -> None:
    assert (LATENCY_EDGES[0], LATENCY_EDGES[-1], LATENCY_BINS) == (0.05, 60_000.0, 209)
    assert all(high / low <= 1.07 + 1e-12 for low, high in pairwise(LATENCY_EDGES))
    assert latency_bin(0.049) == 0
    assert latency_bin(60_000.0) == LATENCY_BINS - 1


def nearest_rank(values: list[float], share: float) -> float:
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


@pytest.mark.parametrize("share", SHARES)
def test_quantiles_keep_their_promised_error(share: float) -> None:
    rng = random.Random(7)
    for size in (1, 2, 10, 1000):
        latencies = [min(max(rng.lognormvariate(2, 2), 0.05), 59_999) for _ in range(size)]
        counts = [0] * LATENCY_BINS
        for value in latencies:
            counts[latency_bin(value)] += 1
        exact = nearest_rank(latencies, share)
        assert latency_quantile(counts, share) == pytest.approx(exact, rel=LATENCY_ERROR + 1e-9)

        confidences = [rng.betavariate(8, 1) for _ in range(size)]
        counts = [0] * CONFIDENCE_BINS
        for value in confidences:
            counts[confidence_bin(value)] += 1
        exact = nearest_rank(confidences, share)
        assert confidence_quantile(counts, share) == pytest.approx(
            exact, abs=CONFIDENCE_ERROR + 1e-9
        )


def test_quantile_beyond_the_bins_is_their_end_and_of_nothing_there_is_none() -> None:
    below, above = [0] * LATENCY_BINS, [0] * LATENCY_BINS
    below[latency_bin(0.001)] = above[latency_bin(1e7)] = 1
    assert latency_quantile(below, 0.5) == 0.05
    assert latency_quantile(above, 0.5) == 60_000
    assert latency_quantile([0] * LATENCY_BINS, 0.5) is None
    assert confidence_quantile([0] * CONFIDENCE_BINS, 0.5) is None
