"""Puts a window beside its reference, signal by signal. Measures; does not judge."""

from collections.abc import Mapping, Sequence

from drift.domain import (
    CategoryComparison,
    NumberComparison,
    RatioComparison,
    RatioSummary,
    Signal,
)
from drift.intervals import RatioSums, difference_of, ratio_difference, welch, wilson
from drift.number_distribution import NumberDistribution
from drift.observations import Observations


def compare(reference: Observations, window: Observations, minimum_rows: int) -> Sequence[Signal]:
    """All signals; those with fewer rows than `minimum_rows` on a side have summaries only."""
    enough = min(reference.rows, window.rows) >= minimum_rows
    return (
        _number("input_tokens", reference.input_tokens, window.input_tokens, enough),
        _number("confidence", reference.confidence, window.confidence, enough),
        _ratio(
            "unknown_token_rate", reference.unknown_token_rate, window.unknown_token_rate, enough
        ),
        _category("label", reference.labels, window.labels, enough),
    )


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
