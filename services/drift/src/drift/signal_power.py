"""What windows of a size would show of each signal of a reference, to plan windows with."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from drift.category_counts import CategoryCounts
from drift.distinct_inputs import DistinctInputs
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution
from drift.number_drift import NumberScale, NumberTest
from drift.signals import Held, SignalReference, Watched
from drift.vector_reservoir import CAPACITY, VectorReservoir
from drift.verdict import SmallestEffects
from servicekit.errors import FieldViolation, InvalidInput

_NORMAL = NormalDist()
_TWICE = 0.5
_MOST_ROWS = 100_000_000
_LARGEST_EFFECT = 1000.0


class PlanInvalid(InvalidInput):
    """Rows or effect are out of their range."""

    reason = "POWER_INVALID"


@dataclass(frozen=True, slots=True)
class SignalPower:
    """Of one signal; None where the reference cannot say, or where no window does it."""

    signal: Watched
    power: float | None = None
    detectable: float | None = None
    """Effect that is found nine times of ten."""
    rows_for_80: int | None = None
    rows_for_95: int | None = None


class Planner:
    """Takes rows as independent, and the effect for the only one in its window.

    Args:
        minimum_rows: that a signal needs on each side.
        q: false discovery rate within a window.
    """

    def __init__(self, *, minimum_rows: int, q: float, smallest: SmallestEffects) -> None:
        self._minimum_rows = minimum_rows
        self._q = q
        self._smallest = smallest

    def plan(self, reference: SignalReference, rows: int, effect: float) -> list[SignalPower]:
        """One for each signal of the reference, by name.

        Args:
            rows: predictions of a window.
            effect: numbers: a shift in standard deviations of the reference; categories: total
                variation; ratios: a difference; vectors: how much better than chance the two sides
                are told apart, 0 to 1.

        Raises:
            PlanInvalid: an argument is out of its range.
        """
        _check(rows, effect)
        signals = reference.window.signals
        level = self._q / max(1, len(signals))
        found = []
        for signal, held in sorted(signals.items()):
            # Where rows depend on each other, their number does not tell how much they know.
            error = None if reference.blocks else _error(held, reference.window.rows, level)
            if error is None:
                found.append(SignalPower(signal))
                continue
            test = _Test(error, level, self._smallest.of(signal.kind), self._minimum_rows)
            found.append(
                SignalPower(
                    signal,
                    test.power(rows, effect),
                    test.detectable(rows),
                    test.rows_needed(effect, 0.8),
                    test.rows_needed(effect, 0.95),
                )
            )
        return found


@dataclass(frozen=True, slots=True)
class _Error:
    """Standard error of an effect, by predictions in the window."""

    of: Callable[[float], float]
    rows: Callable[[int], float]
    """Rows that have the signal, of so many predictions."""
    sides: int = 2


@dataclass(frozen=True, slots=True)
class _Test:
    error: _Error
    level: float
    smallest: float
    minimum_rows: int

    def power(self, rows: int, effect: float) -> float:
        """Chance that the effect is called drift."""
        having = self.error.rows(rows)
        if having < self.minimum_rows:
            return 0.0
        error = self.error.of(having)
        threshold = max(self._critical() * error, self.smallest)
        chance = _NORMAL.cdf((effect - threshold) / error)
        if self.error.sides == 2:
            chance += _NORMAL.cdf((-effect - threshold) / error)
        return min(1.0, chance)

    def detectable(self, rows: int) -> float | None:
        """Effect that is found nine times of ten."""
        having = self.error.rows(rows)
        if having < self.minimum_rows:
            return None
        error = self.error.of(having)
        return max(self._critical() * error, self.smallest) + _NORMAL.inv_cdf(0.9) * error

    def rows_needed(self, effect: float, wanted: float) -> int | None:
        """Fewest predictions with that power; None where even the most are too few."""
        if self.power(_MOST_ROWS, effect) < wanted:
            return None
        low, high = 0, _MOST_ROWS
        while high - low > 1:
            middle = (low + high) // 2
            if self.power(middle, effect) >= wanted:
                high = middle
            else:
                low = middle
        return high

    def _critical(self) -> float:
        return -_NORMAL.inv_cdf(self.level / self.error.sides)


def _error(held: Held, predictions: int, level: float) -> _Error | None:
    """None where nothing can be said: constants, ratios of nothing."""
    match held:
        case NumberDistribution():
            scale = NumberScale.of(held)
            loss = NumberTest(scale).loss(level) if scale else None
            return _two_means(loss, held.moments.rows, predictions) if loss else None
        case CategoryCounts() if len(held.by_category()) > 1:
            # The most even split in two, where a shift is hardest to see.
            return _two_means(_TWICE, held.rows, predictions)
        case RatioSums() if held.denominator > 0:
            share = held.numerator / held.denominator
            spread = max(share * (1 - share), 1 / held.denominator)
            per_row = held.denominator / held.rows
            deviation = math.sqrt(spread * max(1.0, held.design_effect()) / per_row)
            return _two_means(deviation, held.rows, predictions)
        case DistinctInputs() if held.rows:
            share = held.duplicate_rate()
            deviation = math.sqrt(max(share * (1 - share), 1 / held.rows))
            return _two_means(deviation, held.rows, predictions)
        case VectorReservoir() if len(held.sample):
            return _separation(len(held.sample), held.seen, predictions)
    return None


def _two_means(deviation: float, reference_rows: int, predictions: int) -> _Error:
    share = min(1.0, reference_rows / predictions)
    return _Error(
        lambda rows: deviation * math.sqrt(1 / rows + 1 / reference_rows),
        lambda window: window * share,
    )


def _separation(sample: int, reference_rows: int, predictions: int) -> _Error:
    """Of twice an area under the curve: one-sided, over what a sample holds at most."""
    share = min(1.0, reference_rows / predictions)
    return _Error(
        lambda rows: 2 * math.sqrt((1 / rows + 1 / sample) / 12),
        lambda window: min(CAPACITY, window * share),
        sides=1,
    )


def _check(rows: int, effect: float) -> None:
    violations = []
    if not 1 <= rows <= _MOST_ROWS:
        violations.append(FieldViolation("n", f"is not between 1 and {_MOST_ROWS}"))
    if not 0 < effect <= _LARGEST_EFFECT:
        violations.append(FieldViolation("effect", f"is not above 0 and up to {_LARGEST_EFFECT:g}"))
    if violations:
        raise PlanInvalid("No window can be planned with that.", violations=violations)
