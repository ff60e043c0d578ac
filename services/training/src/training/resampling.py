"""How far a figure would move on other rows of the same kind.

Bootstrap: rows are drawn again with replacement, within their source, and the figure is taken of
every such resample (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.probabilities import Floats

LEVEL = 0.95
# Resamples are drawn and scored in blocks of about so many weights (8 bytes each).
BLOCK_WEIGHTS = 2_000_000
# The normal distribution's quantile at (1 + LEVEL) / 2.
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 95 % of what a figure may be."""

    low: float
    high: float


class Bootstrap:
    """The same rows in the same sources, ``resamples`` and ``seed`` give the same draws."""

    def __init__(self, sources: Sequence[str], resamples: int, seed: int) -> None:
        self.resamples = resamples
        self.seed = seed
        names = np.array(sources)
        self._groups = [np.flatnonzero(names == name) for name in sorted(set(sources))]
        self.rows = len(sources)

    def weights(self) -> Iterator[Floats]:
        """Blocks of ``[resamples, rows]``: how often each row was drawn, the same at each call."""
        draw = np.random.default_rng(self.seed)
        size = max(1, BLOCK_WEIGHTS // self.rows)
        for start in range(0, self.resamples, size):
            count = min(size, self.resamples - start)
            block = np.zeros((count, self.rows))
            for group in self._groups:
                block[:, group] = _draws(draw, count, len(group))
            yield block


def percentile_interval(values: npt.NDArray[np.float64]) -> Interval | None:
    """The 2.5th and 97.5th percentiles; resamples without the figure (NaN) do not count."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Interval(float(low), float(high))


def wilson_interval(hits: float, rows: float) -> Interval | None:
    """The interval of a share, also for few rows, where a bootstrap finds none or one too short.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not rows:
        return None
    share, factor = hits / rows, Z * Z / rows
    middle = (share + factor / 2) / (1 + factor)
    reach = Z / (1 + factor) * math.sqrt(share * (1 - share) / rows + factor / rows / 4)
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def mcnemar_p(only_one: int, only_other: int) -> float:
    """The two-sided exact p-value that two models are right equally often, on the same rows.

    Counts are of rows that only one of both has right: under the hypothesis each is a fair coin.
    """
    flips = only_one + only_other
    fewer = min(only_one, only_other)
    # Logarithms, for thousands of flips are too many for floats.
    terms = [_log_choose(flips, heads) - flips * math.log(2) for heads in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(term) for term in terms))


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _draws(draw: np.random.Generator, count: int, rows: int) -> npt.NDArray[np.int64]:
    places = draw.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
    return np.bincount(places.ravel(), minlength=count * rows).reshape(count, rows)
