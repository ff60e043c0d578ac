"""What tests of counts find: chance, effect with its interval, and what would have been seen."""

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from drift.count_drift import g_test, ratio_test
from drift.distinct_inputs import DistinctInputs
from drift.domain import Estimate
from drift.intervals import RatioSums, ratio_difference
from drift.number_distribution import NumberDistribution
from drift.rank_process import effective_rows
from drift.verdict import Finding

_TEN_PERCENT = 1.2816
_INTERVAL_DRAWS = 300
_SEED = 20_260_303


def left_constant_finding(
    ours: NumberDistribution, theirs: NumberDistribution, level: float, smallest: float
) -> Finding:
    """The reference has one value only: rows with another value are another category."""
    values, weights = ours.weighted_values()
    same = int(weights[values == theirs.moments.minimum].sum())
    return category_finding(
        {"same": same, "other": ours.moments.rows - same},
        {"same": theirs.moments.rows},
        level,
        smallest,
    )


def category_finding(
    ours: Mapping[str, int], theirs: Mapping[str, int], level: float, smallest: float
) -> Finding:
    """Rows by category; the effect is the total variation."""
    names = sorted(ours.keys() | theirs.keys())
    counts = [np.array([side.get(name, 0) for name in names]) for side in (ours, theirs)]
    rows = [int(side.sum()) for side in counts]
    shares = [side / side.sum() for side in counts]
    value = float(np.abs(shares[0] - shares[1]).sum() / 2)
    rng = np.random.default_rng(_SEED)
    drawn = [
        rng.multinomial(count, share, size=_INTERVAL_DRAWS) / count
        for count, share in zip(rows, shares, strict=True)
    ]
    low, high = np.quantile(np.abs(drawn[0] - drawn[1]).sum(axis=1) / 2, (0.025, 0.975))
    interval = Estimate(
        value,
        max(0.0, min(value, 2 * value - float(high))),
        min(1.0, max(value, 2 * value - float(low))),
    )
    # Of the most even split of the categories in two, where a shift is hardest to see.
    error = 0.5 / math.sqrt(effective_rows(*rows))
    return Finding(g_test(ours, theirs), interval, detectable_shift(error, level, smallest))


def ratio_finding(ours: RatioSums, theirs: RatioSums, level: float, smallest: float) -> Finding:
    """Ratios; the effect is their difference. Both denominators are above 0."""
    effect = max(1.0, ours.design_effect(), theirs.design_effect())
    total = ours.denominator + theirs.denominator
    ratio = (ours.numerator + theirs.numerator) / total
    trials = ours.denominator * theirs.denominator / total / effect
    error = math.sqrt(max(ratio * (1 - ratio), 1 / total) / trials)
    return Finding(
        ratio_test(ours, theirs),
        ratio_difference(ours, theirs),
        detectable_shift(error, level, smallest),
    )


def as_repetitions(ours: DistinctInputs, theirs: DistinctInputs) -> tuple[RatioSums, RatioSums]:
    """Repetitions of all rows, by input; the reference's are those of as many rows."""
    expected = theirs.expected_duplicate_rate(ours.rows)
    observed = theirs.duplicate_rate()
    shrink = expected / observed if observed else 0.0
    return _repetitions(ours, 1.0), _repetitions(theirs, shrink)


def _repetitions(inputs: DistinctInputs, share: float) -> RatioSums:
    counts = inputs.counts.astype(np.float64)
    repeated = (counts - 1) * share
    return RatioSums(
        len(counts),
        float(repeated.sum()),
        float(counts.sum()),
        float((repeated**2).sum()),
        float((counts**2).sum()),
        float((repeated * counts).sum()),
    )


def detectable_shift(error: float, level: float, smallest: float) -> float:
    """Shift whose estimate passes a two-sided test at `level` nine times of ten."""
    critical = -NormalDist().inv_cdf(level / 2) * error
    return max(critical, smallest) + _TEN_PERCENT * error
