"""Puts a window beside its reference, signal by signal. Measures; does not judge."""

from collections.abc import Mapping, Sequence

from drift.category_counts import CategoryCounts
from drift.domain import (
    CategoryComparison,
    NumberComparison,
    RatioComparison,
    RatioSummary,
    Signal,
)
from drift.intervals import RatioSums, difference_of, ratio_difference, welch, wilson
from drift.number_distribution import NumberDistribution
from drift.signals import SignalWindow


def compare(reference: SignalWindow, window: SignalWindow, minimum_rows: int) -> Sequence[Signal]:
    """The numbers, ratios and categories that the reference knows.

    Those with fewer rows than `minimum_rows` on a side have summaries only.
    """
    found: list[Signal] = []
    for watched, held in reference.signals.items():
        match held:
            case NumberDistribution():
                numbers = window.number(watched) or NumberDistribution.empty()
                enough = min(held.moments.rows, numbers.moments.rows) >= minimum_rows
                found.append(_number(watched.name, held, numbers, enough))
            case RatioSums():
                ratio = window.ratio(watched) or RatioSums()
                enough = min(held.rows, ratio.rows) >= minimum_rows
                found.append(_ratio(watched.name, held, ratio, enough))
            case CategoryCounts():
                counts = window.category(watched) or CategoryCounts()
                enough = min(held.rows, counts.rows) >= minimum_rows
                both = held.by_category(), counts.by_category()
                found.append(_category(watched.name, *both, enough))
    return found


def _number(
    name: str, reference: NumberDistribution, window: NumberDistribution, enough: bool
) -> Signal:
    comparison = NumberComparison(
        reference.summary(),
        window.summary(),
        ks_distance=window.ks_distance(reference) if enough else None,
        mean_difference=welch(window.sample(), reference.sample()) if enough else None,
    )
    return Signal(name, comparison, enough)


def _ratio(name: str, reference: RatioSums, window: RatioSums, enough: bool) -> Signal:
    # Rows may hold no token at all, for example texts of blanks only.
    enough = enough and min(reference.denominator, window.denominator) > 0
    difference = ratio_difference(window, reference) if enough else None
    comparison = RatioComparison(_summary(reference), _summary(window), difference)
    return Signal(name, comparison, enough)


def _summary(sums: RatioSums) -> RatioSummary:
    return RatioSummary(sums.rows, sums.numerator, sums.denominator)


def _category(
    name: str, reference: Mapping[str, int], window: Mapping[str, int], enough: bool
) -> Signal:
    if not enough:
        return Signal(name, CategoryComparison(reference, window), False)
    rows, reference_rows = sum(window.values()), sum(reference.values())
    differences = {
        category: difference_of(
            wilson(window.get(category, 0), rows),
            wilson(reference.get(category, 0), reference_rows),
        )
        for category in sorted(reference.keys() | window.keys())
    }
    distance = sum(abs(difference.value) for difference in differences.values()) / 2
    return Signal(name, CategoryComparison(reference, window, distance, differences), True)
