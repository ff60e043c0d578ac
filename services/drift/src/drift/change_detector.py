"""Finds a sudden break in a stream of numbers before its window closes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STREAMS = 1000
_SHARE = 10
"""Streams are drawn for one tenth of the run length that is asked for."""
_ALLOWANCE = 0.25
"""Half of the smallest shift that is looked for, in standard deviations (Page, "Continuous
inspection schemes", Biometrika 41, 1954)."""
_SEED = 20_260_304
_LARGEST_EXPONENT = 64.0
_MOST_SIMULATED = 20_000
"""Run length; longer ones follow from it."""


class Direction(StrEnum):
    """Which way the numbers broke away."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ControlLimit:
    """Where a two-sided cumulative sum sounds: on average once in `run_length` rows of no drift."""

    mean: float
    deviation: float
    limit: float
    run_length: int

    @classmethod
    def calibrated(cls, values: Floats, weights: Floats, run_length: int = 100_000) -> Self:
        """By simulation of independent rows of the reference.

        Run lengths are exponential in good approximation, so the limit that 10 % of streams pass
        within a tenth of the run length (to be exact: 1 - exp(-0.1)) has that mean. Beyond 20 000
        rows the limit grows by ln(ratio) / theta, where theta > 0 solves E exp(theta (x - a)) = 1
        (Siegmund, "Sequential Analysis", 1985, chapter 2).

        Args:
            values: of the reference, for example those that a sketch retains; at least one.
            weights: rows that each stands for.

        Raises:
            ValueError: the reference is constant.
        """
        share = weights / weights.sum()
        mean = float(values @ share)
        deviation = float(np.sqrt(share @ (values - mean) ** 2))
        if not deviation > 0:
            raise ValueError("a constant reference has no control limit")
        rng = np.random.default_rng(_SEED)
        simulated = min(run_length, _MOST_SIMULATED)
        rows = max(10, simulated // _SHARE)
        standard = (values - mean) / deviation
        ends = np.cumsum(share)
        sums, highest = np.zeros((2, _STREAMS)), np.zeros(_STREAMS)
        for _ in range(rows):
            places = np.minimum(np.searchsorted(ends, rng.random(_STREAMS)), len(standard) - 1)
            drawn = standard[places]
            sums = np.maximum(0.0, sums + np.stack([drawn, -drawn]) - _ALLOWANCE)
            np.maximum(highest, sums.max(axis=0), out=highest)
        limit = float(np.quantile(highest, np.exp(-rows / simulated)))
        if run_length > simulated:
            theta = min(_exponent(standard, share), _exponent(-standard, share))
            limit += float(np.log(run_length / simulated)) / theta
        return cls(mean, deviation, limit, run_length)


@dataclass(frozen=True, slots=True)
class Change:
    """The sum passed the limit."""

    direction: Direction
    rows_ago: int
    """Rows since the sum last stood at zero: where the break most likely was."""
    place: int = 0
    """Of the row that made the sum pass it, among the finite ones of the update."""


@dataclass(slots=True)
class ChangeDetector:
    """A two-sided cumulative sum (CUSUM); begins anew after each change it tells.

    How the rows are cut into updates makes no difference.
    """

    limit: ControlLimit
    up: float = 0.0
    down: float = 0.0
    up_rows: int = 0
    down_rows: int = 0

    def update(self, values: Floats) -> list[Change]:
        """Takes rows in their order; those that are not finite are left out."""
        standard = (values[np.isfinite(values)] - self.limit.mean) / self.limit.deviation
        changes: list[Change] = []
        for place, value in enumerate(standard.tolist()):
            self.up = max(0.0, self.up + value - _ALLOWANCE)
            self.down = max(0.0, self.down - value - _ALLOWANCE)
            self.up_rows = self.up_rows + 1 if self.up else 0
            self.down_rows = self.down_rows + 1 if self.down else 0
            if max(self.up, self.down) > self.limit.limit:
                rose = self.up > self.down
                rows = self.up_rows if rose else self.down_rows
                changes.append(Change(Direction.UP if rose else Direction.DOWN, rows, place))
                self.up = self.down = 0.0
                self.up_rows = self.down_rows = 0
        return changes


def _exponent(standard: Floats, share: Floats) -> float:
    """The positive theta with E exp(theta (x - allowance)) = 1."""
    low, high = 0.0, 1.0
    steps = standard - _ALLOWANCE

    def excess(theta: float) -> float:
        return float(share @ np.exp(np.minimum(theta * steps, 700.0))) - 1

    while excess(high) < 0 and high < _LARGEST_EXPONENT:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high
