"""What is concluded about a signal of a window, and when that is called drift."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from drift.domain import Estimate
from drift.signals import Kind, Watched


class State(StrEnum):
    """One word about a signal."""

    NO_DRIFT = "no drift"
    DRIFT = "drift"
    NOT_ENOUGH_DATA = "not enough data"
    CONSTANT = "constant"
    """One value, the same on both sides: nothing can be said about a spread that is not there."""
    REFERENCE_MISSING = "reference missing"
    REFERENCE_MISMATCH = "reference mismatch"
    """The reference is of another model version."""


@dataclass(frozen=True, slots=True)
class SmallestEffects:
    """Effects below these are nobody's business, however sure one is of them."""

    number: float = 0.05
    """Wasserstein distance, in standard deviations of the reference."""
    ratio: float = 0.002
    """Difference of two ratios."""
    category: float = 0.03
    """Total variation: share of the rows that would have to change their category."""
    vector: float = 0.03
    """2 AUC - 1 of the domain classifier: 0 if sides cannot be told apart, 1 if always."""

    def of(self, kind: Kind) -> float:
        """That of a kind of signal."""
        match kind:
            case Kind.NUMBER:
                return self.number
            case Kind.CATEGORY:
                return self.category
            case Kind.VECTOR:
                return self.vector
            case Kind.RATIO | Kind.DISTINCT:
                return self.ratio


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test found, before the other signals of its window are looked at."""

    p_value: float
    effect: Estimate
    detectable: float
    """Effect that a window of this size shows with a power of 0.9."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said about one signal of a window; without a test there is only a state."""

    signal: Watched
    state: State
    rows: int
    reference_rows: int
    finding: Finding | None = None


def rejected(p_values: Sequence[float], q: float) -> list[bool]:
    """Which hypotheses the procedure of Benjamini and Hochberg rejects.

    Source: "Controlling the false discovery rate", J. R. Statist. Soc. B 57 (1995).
    """
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return []
    passed = np.sort(p) <= q * np.arange(1, len(p) + 1) / len(p)
    if not passed.any():
        return [False] * len(p)
    return list(map(bool, p <= np.sort(p)[np.flatnonzero(passed)[-1]]))


def smallest_q(p_values: np.ndarray) -> np.ndarray:
    """[rows] The q at which anything in a row of p-values [rows, signals] is rejected."""
    count = p_values.shape[1]
    return np.asarray((np.sort(p_values, axis=1) * count / np.arange(1, count + 1)).min(axis=1))
