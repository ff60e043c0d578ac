"""95 % confidence intervals. All of them take rows as independent; calibration is not done here."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drift.domain import Estimate

Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def t_quantile(degrees_of_freedom: float) -> float:
    """The 97.5 % quantile of Student's t distribution, right to 2e-5 from 9 degrees on.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    n = degrees_of_freedom
    return (
        Z
        + (Z**3 + Z) / (4 * n)
        + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * n**2)
        + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * n**3)
        + (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / (92160 * n**4)
    )


def wilson(successes: float, trials: float) -> Estimate:
    """A proportion with its score interval; `trials` is above 0 and need not be whole.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22 (1927).
    """
    share = successes / trials
    scale = 1 + Z**2 / trials
    centre = (share + Z**2 / (2 * trials)) / scale
    reach = Z / scale * math.sqrt(share * (1 - share) / trials + (Z / (2 * trials)) ** 2)
    # Rounding must not push a bound past the share itself: at 0 and 1 they are equal.
    return Estimate(share, min(share, centre - reach), max(share, centre + reach))


def difference_of(window: Estimate, reference: Estimate) -> Estimate:
    """Window minus reference, its interval recovered from the two intervals.

    With Wilson intervals this is Newcombe's hybrid score interval.
    Sources: Newcombe, "Interval estimation for the difference between independent proportions",
    Stat. Med. 17 (1998), method 10; Zou and Donner, Stat. Med. 27 (2008), for the general case.
    """
    value = window.value - reference.value
    below = math.hypot(window.value - window.lower, reference.upper - reference.value)
    above = math.hypot(window.upper - window.value, reference.value - reference.lower)
    return Estimate(value, value - below, value + above)


@dataclass(frozen=True, slots=True)
class Sample:
    """A mean and the unbiased variance of the rows that it was taken over, at least 2."""

    rows: int
    mean: float
    variance: float


def welch(window: Sample, reference: Sample) -> Estimate:
    """Difference of two means where the variances need not be equal.

    Source: Welch, "The generalization of 'Student's' problem when several different population
    variances are involved", Biometrika 34 (1947).
    """
    value = window.mean - reference.mean
    errors = [side.variance / side.rows for side in (window, reference)]
    variance = sum(errors)
    if variance == 0:
        return Estimate(value, value, value)
    weights = sum(
        error**2 / (side.rows - 1) for error, side in zip(errors, (window, reference), strict=True)
    )
    # The smaller sample alone bounds the degrees of freedom; tiny variances lose them to rounding.
    fewest = min(window.rows, reference.rows) - 1
    degrees = max(variance**2 / weights, fewest) if weights else fewest
    reach = t_quantile(degrees) * math.sqrt(variance)
    return Estimate(value, value - reach, value + reach)


@dataclass(frozen=True, slots=True)
class RatioSums:
    """Sums over rows of a numerator that is part of a denominator: unknown tokens of tokens."""

    rows: int = 0
    numerator: float = 0.0
    denominator: float = 0.0
    numerator_squared: float = 0.0
    denominator_squared: float = 0.0
    product: float = 0.0

    def plus(self, numerator: float, denominator: float) -> "RatioSums":
        """The sums with one more row."""
        return RatioSums(
            self.rows + 1,
            self.numerator + numerator,
            self.denominator + denominator,
            self.numerator_squared + numerator**2,
            self.denominator_squared + denominator**2,
            self.product + numerator * denominator,
        )

    def plus_rows(
        self, numerators: npt.NDArray[np.float64], denominators: npt.NDArray[np.float64]
    ) -> "RatioSums":
        """The sums with more rows, which are finite."""
        return RatioSums(
            self.rows + len(numerators),
            self.numerator + float(numerators.sum()),
            self.denominator + float(denominators.sum()),
            self.numerator_squared + float(numerators @ numerators),
            self.denominator_squared + float(denominators @ denominators),
            self.product + float(numerators @ denominators),
        )

    def merged(self, other: "RatioSums") -> "RatioSums":
        """The sums over both sets of rows."""
        return RatioSums(
            self.rows + other.rows,
            self.numerator + other.numerator,
            self.denominator + other.denominator,
            self.numerator_squared + other.numerator_squared,
            self.denominator_squared + other.denominator_squared,
            self.product + other.product,
        )

    def variance(self) -> float:
        """Of the ratio estimator, by the delta method, the row being the unit (needs 2 rows).

        Source: Cochran, Sampling Techniques, 3rd edition, 6.4.
        """
        ratio = self.numerator / self.denominator
        residual = (
            self.numerator_squared - 2 * ratio * self.product + ratio**2 * self.denominator_squared
        )
        return self.rows / (self.rows - 1) * max(0.0, residual) / self.denominator**2

    def design_effect(self) -> float:
        """How much the rows' clustering inflates the variance over that of independent tokens.

        1 where the sums cannot tell: nothing, or everything, is in the numerator, or all of it is
        one row's.
        """
        if self.rows < 2:
            return 1.0
        ratio = self.numerator / self.denominator
        independent = ratio * (1 - ratio) / self.denominator
        return self.variance() / independent if independent > 0 else 1.0


def ratio_difference(window: RatioSums, reference: RatioSums) -> Estimate:
    """Window's ratio minus the reference's; both denominators are above 0.

    Unknown tokens are rare. A window without any has a delta-method variance of 0, and the plain
    interval covers the truth in 20 % of such windows instead of 95. So the variance enters as a
    design effect that shrinks the number of tokens, and Wilson's interval, which holds near 0, does
    the rest. The larger of the two design effects counts for both, never below 1: a side that has
    seen few unknown tokens underestimates how they cluster.
    Source of the effective size: Korn and Graubard, "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data", Surv. Methodol. 24 (1998).
    """
    effect = max(1.0, window.design_effect(), reference.design_effect())
    sides = [
        wilson(side.numerator / effect, side.denominator / effect) for side in (window, reference)
    ]
    return difference_of(*sides)
