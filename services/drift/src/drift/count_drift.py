"""Categories and ratios of a window beside those of a reference."""

import math
from collections.abc import Mapping

import numpy as np

from drift.intervals import RatioSums

_FEWEST_EXPECTED = 5.0
"""In each cell of a G-test, on either side; rarer categories are counted together."""
_EXACT_UP_TO = 2000
"""Counts whose tails are summed; above, the normal approximation is right to a few per cent."""


def g_test(window: Mapping[str, int], reference: Mapping[str, int]) -> float:
    """p-value that two counts by category are of the same shares, by the G-test.

    With Williams' correction ("Improved likelihood ratio tests for complete contingency tables",
    Biometrika 63, 1976). Categories that are too rare for it are counted together and, where they
    still are, tested by themselves: exactly, and both p-values are doubled then.
    """
    names = sorted(window.keys() | reference.keys())
    counts = np.array(
        [[side.get(name, 0) for name in names] for side in (window, reference)], np.float64
    ).reshape(2, len(names))
    rows = counts.sum(axis=1)
    if not rows.all():
        return 1.0
    smaller, share = float(rows.min() / rows.sum()), float(rows[0] / rows.sum())
    rare = counts.sum(axis=0) * smaller < _FEWEST_EXPECTED
    together = counts[:, rare].sum(axis=1, keepdims=True)
    cells = counts[:, ~rare]
    if together.sum() * smaller >= _FEWEST_EXPECTED:
        return _g_test(np.concatenate([cells, together], axis=1))
    if not together.sum():
        return _g_test(cells)
    by_itself = _binomial_two_sided(float(together[0, 0]), round(float(together.sum())), share)
    return min(1.0, 2 * min(_g_test(cells), by_itself))


def _g_test(cells: np.ndarray) -> float:
    """Of [2, cells] counts, none of them rare; 1 for fewer than two cells."""
    if cells.shape[1] < 2:
        return 1.0
    total = cells.sum()
    rows, columns = cells.sum(axis=1, keepdims=True), cells.sum(axis=0, keepdims=True)
    expected = rows * columns / total
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(cells > 0, cells * np.log(cells / expected), 0.0)
    degrees = cells.shape[1] - 1
    correction = 1 + (total * (1 / rows).sum() - 1) * (total * (1 / columns).sum() - 1) / (
        6 * total * degrees
    )
    return chi_squared_tail(2 * float(terms.sum()) / float(correction), degrees)


def ratio_test(window: RatioSums, reference: RatioSums) -> float:
    """Two-sided p-value that both have the same ratio, rows being the unit.

    Clustering within rows shrinks the counts by its design effect. Given how many there are in
    all, those that fall into the window are binomial: exact for rare ones, where a normal test of
    ratios is off by orders of magnitude.
    """
    effect = max(1.0, window.design_effect(), reference.design_effect())
    sides = [(side.numerator / effect, side.denominator / effect) for side in (window, reference)]
    successes, trials = sum(side[0] for side in sides), sum(side[1] for side in sides)
    share = sides[0][1] / trials
    if 2 * successes > trials:
        # The others are the rarer ones.
        sides = [(denominator - numerator, denominator) for numerator, denominator in sides]
        successes = trials - successes
    seen, total = sides[0][0], successes
    if total > _EXACT_UP_TO or min(total * share, total * (1 - share)) > 100:
        spread = total * share * (1 - share) * (1 - total / trials)
        return math.erfc(abs(seen - total * share) / math.sqrt(2 * spread)) if spread > 0 else 1.0
    return _binomial_two_sided(seen, round(total), share)


def _binomial_two_sided(seen: float, total: int, share: float) -> float:
    """Twice the smaller tail, at most 1. A seen part of a count is rounded towards its mean."""
    mean = total * share
    seen_whole = math.floor(seen) if seen > mean else math.ceil(seen)
    counts = np.arange(total + 1)
    logs = np.array([math.lgamma(count + 1) for count in range(total + 1)])
    weights = np.exp(
        logs[total]
        - logs
        - logs[::-1]
        + counts * math.log(share)
        + (total - counts) * math.log1p(-share)
    )
    low = float(weights[: min(seen_whole, total) + 1].sum())
    high = float(weights[min(seen_whole, total) :].sum())
    return min(1.0, 2 * min(low, high))


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """Chance that chi squared of whole degrees of freedom is as large; the finite sums are exact.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    half = max(0.0, statistic) / 2
    if degrees % 2:
        tail = math.erfc(math.sqrt(half))
        term = math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
        first = 1.5
    else:
        tail, term, first = 0.0, math.exp(-half), 1.0
    for step in range(degrees // 2):
        tail += term
        term *= half / (first + step)
    return min(1.0, tail)
