"""The bins of the rollups' histograms, and quantiles read from them.

The database counts into the same bins (migration `prediction_rollups`); a test compares the two at
every edge. What is counted can only ever be read with these edges: they never change.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

CONFIDENCE_BINS = 100
CONFIDENCE_EDGES = tuple(step / CONFIDENCE_BINS for step in range(CONFIDENCE_BINS))
"""Where each bin begins. The last one ends at 1, which belongs to it."""
CONFIDENCE_ERROR = 0.5 / CONFIDENCE_BINS
"""How far a quantile of the confidence lies from the sample's, at most; absolute."""

_FASTEST_MS, _SLOWEST_MS, _GROWTH = 0.05, 60_000.0, 1.07


def _latency_edges() -> tuple[float, ...]:
    # Multiplied step by step: a power may differ in its last digit from machine to machine.
    edges = [_FASTEST_MS]
    while edges[-1] * _GROWTH < _SLOWEST_MS:
        edges.append(edges[-1] * _GROWTH)
    return (*edges, _SLOWEST_MS)


LATENCY_EDGES = _latency_edges()
"""Milliseconds. The first bin lies below the first edge, the last one begins at the last edge."""
LATENCY_BINS = len(LATENCY_EDGES) + 1
LATENCY_ERROR = math.sqrt(_GROWTH) - 1
"""How far a quantile from 0.05 ms to 60 s lies from the sample's, at most; relative (3.5 %)."""


def confidence_bin(confidence: float) -> int:
    """The position of a confidence in its histogram, from 0; outside counts as the end."""
    return max(bisect_right(CONFIDENCE_EDGES, confidence) - 1, 0)


def latency_bin(milliseconds: float) -> int:
    """The position of a latency in its histogram, from 0."""
    return bisect_right(LATENCY_EDGES, milliseconds)


def confidence_quantile(counts: Sequence[int], share: float) -> float | None:
    """The confidence below or at which that share of the sample lies; None without a sample.

    At most CONFIDENCE_ERROR from the sample's own quantile (nearest rank).
    """
    found = _bin_of_rank(counts, share)
    return None if found is None else CONFIDENCE_EDGES[found] + CONFIDENCE_ERROR


def latency_quantile(counts: Sequence[int], share: float) -> float | None:
    """The same for milliseconds, at most LATENCY_ERROR from the sample's own quantile, relatively.

    Below 0.05 ms it is 0.05, and from 60 s on it is 60 000.
    """
    found = _bin_of_rank(counts, share)
    if found is None:
        return None
    if found == 0:
        return LATENCY_EDGES[0]
    if found == LATENCY_BINS - 1:
        return LATENCY_EDGES[-1]
    return math.sqrt(LATENCY_EDGES[found - 1] * LATENCY_EDGES[found])


def _bin_of_rank(counts: Sequence[int], share: float) -> int | None:
    """Where the smallest value lies that at least that share of the sample does not exceed."""
    rank = max(math.ceil(share * sum(counts)), 1)
    seen = 0
    for position, count in enumerate(counts):
        seen += count
        if seen >= rank:
            return position
    return None
