"""How long a run takes on this machine, by what was measured."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from inference.runnable import RunnableModel

Shape = tuple[int, int]
"""Items, and the size of the largest, to which the others are padded."""

_SECONDS_PER_TOKEN = 2e-4
"""A first guess, for a model that was never measured."""
_OUTLIER = 2.0
_PACE_WEIGHT = 0.1
_PART_WEIGHT = 0.02
_LEAST_RUN_SHARE = 0.1
"""Of a run's seconds; what it costs by itself may always grow as if it were as much of them."""
_DOUBT = 0.98
_WORTH_A_PART = 1e-6
"""Squared relative error that a part more must take away, so that rounding decides nothing."""


class LatencyModel:
    """Seconds of a run, as a sum of three parts that are never negative.

    A run costs something by itself; something for every padded token; and more for each token the
    more of them its text has (attention). Few parts, so that one measurement that was held up bends
    little. A part for the size of the whole batch (what no longer fits into the core's cache) was
    tried: a few runs on a busy machine made more of it than it is.

    Every run corrects them: one pace for the machine, which follows within some ten runs, and
    slowly the parts, each by its share in what was predicted. No single run changes a prediction
    by more than its weight times a factor of two.

    Args:
        measured: seconds of runs by their shape.
    """

    def __init__(self, measured: Mapping[Shape, float]) -> None:
        self._parts = _fitted(measured) if measured else [0.0, _SECONDS_PER_TOKEN, 0.0]
        self._pace = 1.0

    def seconds(self, items: int, size: int) -> float:
        """Predicted for a run of that many items that are padded to that size."""
        run, token, text = self._parts
        return self._pace * (run + items * size * (token + size * text))

    def observe(self, items: int, size: int, seconds: float) -> None:
        """A run took that long."""
        predicted = self.seconds(items, size)
        ratio = min(_OUTLIER, max(1 / _OUTLIER, seconds / predicted))
        expected = predicted / self._pace
        self._pace *= ratio**_PACE_WEIGHT
        run, *others = [
            part * ratio ** (_PART_WEIGHT * part * feature / expected)
            for part, feature in zip(self._parts, _features(items, size), strict=True)
        ]
        if run < _LEAST_RUN_SHARE * expected:
            # A factor would never bring it back. The others stay small: long texts multiply them.
            run += _PART_WEIGHT * _LEAST_RUN_SHARE * max(0.0, ratio - 1) * expected
        self._parts = [run, *others]

    def doubt(self) -> None:
        """Something was not run for being predicted to take too long.

        Without runs nothing would ever correct a prediction that was too high; so it falls a little
        each time, until one is tried.
        """
        self._pace *= _DOUBT


def _features(items: int, size: int) -> tuple[float, float, float]:
    return 1.0, items * size, items * size * size


def _fitted(measured: Mapping[Shape, float]) -> list[float]:
    """The parts that come nearest to what was measured, relative to it.

    Least squares under the condition that none is negative: the best of those combinations of
    parts whose unconditional solution keeps to it, which for three are soon tried.
    """
    seconds = np.array(list(measured.values()))
    rows = np.array([_features(*shape) for shape in measured]) / seconds[:, None]
    best, least = [0.0] * 3, np.inf
    # Fewer parts first: where measurements cannot tell two apart, the simpler explanation stays.
    for parts in (each for count in (1, 2, 3) for each in combinations(range(3), count)):
        solution, error = _least_squares(rows[:, parts])
        if error < least - _WORTH_A_PART and (solution >= 0).all():
            best, least = [0.0] * 3, error
            for part, value in zip(parts, solution.tolist(), strict=True):
                best[part] = value
    return best


def _least_squares(rows: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """What the rows weighted make nearest to one, and how far from it they stay, squared."""
    scale = np.abs(rows).max(axis=0)
    solution, *_ = np.linalg.lstsq(rows / scale, np.ones(len(rows)), rcond=None)
    error = float(np.square(rows / scale @ solution - 1).sum())
    return solution / scale, error


class SizeGuess:
    """The size of an input before it is encoded, by what the ones before it had."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._per_unit = 0.3

    def of(self, length: int) -> int:
        """Tokens of so many characters."""
        return min(self._largest, max(1, round(self._per_unit * length)))

    def learn(self, length: int, size: int) -> None:
        """One had that size; those that were cut say nothing."""
        if length and size < self._largest:
            self._per_unit += 0.02 * (min(size / length, 4.0) - self._per_unit)


class Profile:
    """What the scheduler knows of one loaded model."""

    def __init__(self, model: RunnableModel, latency: LatencyModel) -> None:
        self.latency = latency
        self.size_guess = SizeGuess(model.max_size)
        self.waiting = 0
        """Jobs for it that are answered to somebody."""
