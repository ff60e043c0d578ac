"""How large a window must be to show an effect. Pure functions, for planning windows."""

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def power(
    rows: int, effect: float, *, reference_rows: int = 10_000, signals: int = 20, q: float = 0.05
) -> float:
    """Chance that a shift is called drift when it is the only one in its window.

    Args:
        rows: of the window, 1 or more.
        effect: the shift in standard deviations of the reference; its sign does not matter.
        signals: that are tested together. With one shift the first step of Benjamini and Hochberg
            decides: p <= q / signals.

    Raises:
        ValueError: an argument is out of its range.
    """
    critical, error = _critical(rows, reference_rows, signals, q)
    shift = abs(effect) / error
    return _NORMAL.cdf(shift - critical) + _NORMAL.cdf(-shift - critical)


def detectable(
    rows: int,
    wanted: float = 0.9,
    *,
    reference_rows: int = 10_000,
    signals: int = 20,
    q: float = 0.05,
) -> float:
    """The shift, in standard deviations of the reference, that is found with the wanted power.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 < wanted < 1:
        raise ValueError("power lies between 0 and 1")
    critical, error = _critical(rows, reference_rows, signals, q)
    return max(0.0, critical + _NORMAL.inv_cdf(wanted)) * error


def _critical(rows: int, reference_rows: int, signals: int, q: float) -> tuple[float, float]:
    """Two-sided critical value, and the standard error of a difference of means."""
    if min(rows, reference_rows, signals) < 1 or not 0 < q < 1:
        raise ValueError("rows, reference rows and signals are at least 1; q between 0 and 1")
    error = math.sqrt(1 / rows + 1 / reference_rows)
    return -_NORMAL.inv_cdf(q / signals / 2), error
