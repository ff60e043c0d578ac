"""Two distributions of a number: Kolmogorov-Smirnov and Wasserstein, one calibrated p-value."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
import numpy.typing as npt

from drift.domain import Estimate
from drift.number_distribution import NumberDistribution
from drift.rank_process import (
    LADDER,
    RANKS,
    Floats,
    chance_gaps,
    cumulative_share,
    effective_rows,
    neighbours,
)

Gaps = npt.NDArray[np.float64] | npt.NDArray[np.float32]

_NINETY_PERCENT = 1.2816
_EIGHTY_PERCENT = 0.8416
_INTERVAL_DRAWS = 400
_PLANNED_ROWS = 1000
_PLANNED_DRAWS = 400
_HALVINGS = 8


@dataclass(frozen=True, slots=True)
class NumberScale:
    """The points at which distributions are compared with a reference, and what is between them."""

    points: Floats
    """[points] Rising, no two alike: quantiles of the reference."""
    shares: Floats
    """[points] Share of the reference at or below each."""
    ranks: np.ndarray
    """[points] Where the shares lie among the ranks of the chance gaps."""
    widths: Floats
    """[points] From each point to the next, in standard deviations of the reference."""
    deviation: float
    """Standard deviation of the reference, in its own unit."""
    rows: int

    @classmethod
    def of(cls, reference: NumberDistribution) -> Self | None:
        """None where the reference is constant: there is no scale then."""
        values, weights = reference.weighted_values()
        deviation = float(np.sqrt(reference.moments.variance))
        if not deviation or len(np.unique(values)) < 2:
            return None
        ranks = np.cumsum(weights) / weights.sum()
        places = np.searchsorted(ranks, np.arange(1, RANKS) / RANKS, "left")
        points = np.unique(values[np.minimum(places, len(values) - 1)])
        shares = cumulative_share(reference, points)
        # At the extremes the next rank inwards stands in: its gaps are larger, which is safe.
        indices = np.clip(np.round(shares * RANKS).astype(int), 1, RANKS - 1) - 1
        last = max(reference.moments.maximum, points[-1])
        widths = np.diff(np.append(points, last)) / deviation
        return cls(points, shares, indices, widths, deviation, reference.moments.rows)

    def gaps(self, window: NumberDistribution) -> Floats:
        """[points] The window's cumulative share minus the reference's."""
        return cumulative_share(window, self.points) - self.shares

    def gaps_of_shift(self, shift: float) -> Floats:
        """[points] The gaps of a window whose rows are all larger, by standard deviations."""
        moved = np.interp(
            self.points - shift * self.deviation, self.points, self.shares, left=0.0, right=1.0
        )
        return np.asarray(moved - self.shares, np.float64)

    def kolmogorov_smirnov(self, gaps: Gaps) -> Floats:
        """Largest gap, over the last axis."""
        return np.asarray(np.abs(gaps).max(axis=-1), np.float64)

    def wasserstein(self, gaps: Gaps) -> Floats:
        """Area between the cumulative shares, in standard deviations of the reference."""
        return np.asarray(np.abs(gaps) @ self.widths, np.float64)


@dataclass(frozen=True, slots=True)
class DistanceNull:
    """The two distances between distributions that differ by chance alone, drawn many times."""

    distances: tuple[Floats, Floats]
    """Each rising: Kolmogorov-Smirnov, Wasserstein."""
    smallest: Floats
    """Rising: the smaller of the two p-values of a draw."""

    @classmethod
    def of(cls, kolmogorov: Floats, wasserstein: Floats) -> Self:
        """From draws; the two distances of a draw stand at the same place."""
        distances = (np.sort(kolmogorov), np.sort(wasserstein))
        ps = [
            exceedance(null, drawn) / (len(null) + 1)
            for null, drawn in zip(distances, (kolmogorov, wasserstein), strict=True)
        ]
        return cls(distances, np.sort(np.minimum(*ps)))

    def p_value(self, kolmogorov: float, wasserstein: float) -> float:
        """Chance of a smaller of two p-values that is as small.

        With k of the draws as small it is (1 + k) / (1 + draws), and one standard error of k above:
        all signals share the draws, so their luck must not become everybody's false alarms.
        """
        return float(self.p_values(np.array([kolmogorov]), np.array([wasserstein]))[0])

    def p_values(self, kolmogorov: Floats, wasserstein: Floats) -> Floats:
        """[windows] Of many at once."""
        draws = len(self.smallest)
        # Nothing is as rare as what lies beyond all draws.
        ps = [
            exceedance(null, seen) / (draws + 1)
            for null, seen in zip(self.distances, (kolmogorov, wasserstein), strict=True)
        ]
        as_small = np.searchsorted(self.smallest, np.minimum(*ps) * (1 + 1e-9), "right")
        return np.asarray(np.minimum(1.0, (1 + as_small + np.sqrt(as_small)) / (draws + 1)))

    def critical_wasserstein(self, level: float) -> float:
        """The distance whose p-value is `level`, the other distance aside."""
        return float(np.quantile(self.distances[1], 1 - level / 2))


def exceedance(null: Floats, seen: Floats) -> Floats:
    """How many of the rising `null` are at least as large as each seen value."""
    slack = 1e-9 * np.maximum(1e-3, np.abs(seen))
    return np.asarray(len(null) - np.searchsorted(null, seen - slack, "left"), np.float64)


class NumberTest:
    """Compares windows with one reference; nulls are made when a size is first asked for.

    Beyond the ladder's largest size a window counts as that large: the sketch's own error, which
    does not shrink, is what is left there.
    """

    def __init__(self, scale: NumberScale) -> None:
        self._scale = scale
        self._nulls: dict[int, DistanceNull] = {}

    def p_value(self, gaps: Floats, rows: int) -> float:
        """Of the gaps of a window of independent rows."""
        rows = min(rows, LADDER[-1])
        scale = self._scale
        kolmogorov = float(scale.kolmogorov_smirnov(gaps))
        wasserstein = float(scale.wasserstein(gaps))
        return self._between(
            rows,
            lambda null, factor: null.p_value(kolmogorov * factor, wasserstein * factor),
        )

    def detectable(self, rows: int, level: float, smallest: float) -> float:
        """Shift that is found with a power of 0.9, in standard deviations of the reference.

        A shift of the whole distribution moves the Wasserstein distance by as much, so its noise is
        that of a difference of two means.
        """
        rows = min(rows, LADDER[-1])
        error = float(np.sqrt(1 / effective_rows(rows, self._scale.rows)))
        critical = self._between(
            rows, lambda null, factor: null.critical_wasserstein(level) / factor
        )
        return max(critical, smallest) + _NINETY_PERCENT * error

    def loss(self, level: float) -> float:
        """How many times the shift that a test of means finds must be, for this test to find it.

        What a distance sees beside shifts costs it some of its sight for them; how much depends on
        the shape of the distribution. Found at windows of 1000 rows and a power of 0.8, by shifting
        the reference against draws of chance; it hardly depends on either.

        Args:
            level: p-value that is called drift.
        """
        scale = self._scale
        null = self._null(_PLANNED_ROWS)
        drawn = chance_gaps(_PLANNED_ROWS, scale.rows)[:_PLANNED_DRAWS, scale.ranks]
        error = float(np.sqrt(1 / effective_rows(_PLANNED_ROWS, scale.rows)))
        of_means = (NormalDist().inv_cdf(1 - level / 2) + _EIGHTY_PERCENT) * error
        low, high = 0.0, 3 * of_means
        for _ in range(_HALVINGS):
            shift = (low + high) / 2
            shifted = drawn + scale.gaps_of_shift(shift)
            p = null.p_values(scale.kolmogorov_smirnov(shifted), scale.wasserstein(shifted))
            low, high = (low, shift) if (p <= level).mean() >= 0.8 else (shift, high)
        return high / of_means

    def interval(self, gaps: Floats, rows: int) -> Estimate:
        """The Wasserstein distance with its 95 % interval (basic bootstrap)."""
        scale, rows = self._scale, min(rows, LADDER[-1])
        value = float(scale.wasserstein(gaps))
        level, _ = max(neighbours(rows), key=lambda pair: pair[1])
        noise = chance_gaps(level, scale.rows)[:_INTERVAL_DRAWS, scale.ranks]
        shrink = np.sqrt(effective_rows(level, scale.rows) / effective_rows(rows, scale.rows))
        drawn = scale.wasserstein(gaps + noise * shrink)
        low, high = np.quantile(drawn, (0.025, 0.975))
        # Noise only adds to a distance: reflected at what was seen, the interval loses that much.
        return Estimate(
            value, max(0.0, min(value, 2 * value - float(high))), max(value, 2 * value - float(low))
        )

    def _between(self, rows: int, at: Callable[[DistanceNull, float], float]) -> float:
        total = 0.0
        for level, weight in neighbours(rows):
            factor = np.sqrt(
                effective_rows(rows, self._scale.rows) / effective_rows(level, self._scale.rows)
            )
            total += weight * at(self._null(level), float(factor))
        return total

    def _null(self, level: int) -> DistanceNull:
        if level not in self._nulls:
            scale = self._scale
            drawn = chance_gaps(level, scale.rows)[:, scale.ranks]
            self._nulls[level] = DistanceNull.of(
                scale.kolmogorov_smirnov(drawn), scale.wasserstein(drawn)
            )
        return self._nulls[level]
