"""How long a run takes on this machine, by what was measured."""

from bisect import bisect_right
from collections.abc import Mapping

from inference.runnable import RunnableModel

Cell = tuple[int, int]
"""Items, and the size of the largest."""

_SECONDS_PER_TOKEN = 2e-4
"""A first guess, for a model that was never measured."""
_OUTLIER = 2.0
_PACE_WEIGHT = 0.1
_CELL_WEIGHT = 0.02
_DOUBT = 0.98


class LatencyModel:
    """Seconds of a run, between measured points by straight lines.

    Every run corrects it: one pace for the machine, which follows within some ten runs, and slowly
    the points themselves. No single run changes either by more than its weight times a factor of
    two, so that a run that was held up says little.

    Args:
        measured: seconds by number of items and size. More items than were measured at a size
            are taken to gain nothing over the most that were.
    """

    def __init__(self, measured: Mapping[Cell, float]) -> None:
        self._cells = dict(measured) or {(1, 1): _SECONDS_PER_TOKEN}
        self._sizes: dict[int, list[int]] = {}
        for items, size in sorted(self._cells):
            self._sizes.setdefault(items, []).append(size)
        self._items = sorted(self._sizes)
        self._pace = 1.0

    def seconds(self, items: int, size: int) -> float:
        """Predicted for a run of that many items that are padded to that size."""
        return self._pace * sum(
            weight * self._cells[cell] for cell, weight in self._around(items, size)
        )

    def observe(self, items: int, size: int, seconds: float) -> None:
        """A run took that long."""
        ratio = seconds / self.seconds(items, size)
        ratio = min(_OUTLIER, max(1 / _OUTLIER, ratio))
        around = self._around(items, size)
        total = sum(weight for _, weight in around)
        self._pace *= ratio**_PACE_WEIGHT
        for cell, weight in around:
            self._cells[cell] *= ratio ** (_CELL_WEIGHT * weight / total)

    def doubt(self) -> None:
        """Something was not run for being predicted to take too long.

        Without runs nothing would ever correct a prediction that was too high; so it falls a little
        each time, until one is tried.
        """
        self._pace *= _DOUBT

    def _around(self, items: int, size: int) -> list[tuple[Cell, float]]:
        """Measured points and the weights with which they make this one."""
        known = [each for each in self._items if size <= self._sizes[each][-1]] or [1]
        position = bisect_right(known, items)
        low = known[position - 1]
        if position == len(known):
            return [(cell, weight * items / low) for cell, weight in self._along(low, size)]
        high = known[position]
        share = (items - low) / (high - low)
        parts = [(cell, weight * (1 - share)) for cell, weight in self._along(low, size)]
        if share:
            parts += [(cell, weight * share) for cell, weight in self._along(high, size)]
        return parts

    def _along(self, items: int, size: int) -> list[tuple[Cell, float]]:
        sizes = self._sizes[items]
        position = bisect_right(sizes, size)
        if position == 0:
            return [((items, sizes[0]), 1.0)]
        low = sizes[position - 1]
        if position == len(sizes):
            return [((items, low), size / low)]
        high = sizes[position]
        share = (size - low) / (high - low)
        return [((items, low), 1 - share), ((items, high), share)]


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
