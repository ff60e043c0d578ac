"""How far two empirical distributions of the same thing lie apart by chance, rank by rank."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from drift.number_distribution import NumberDistribution

Floats = npt.NDArray[np.float64]

RANKS = 256
"""Cells of equal probability; gaps are known at the 255 borders between them."""
DRAWS = 2000
"""No p-value is below 1 of these: enough for 20 signals at q = 0.05, which asks for 1 of 400."""
LADDER = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Window sizes for which gaps are drawn; between two of them p-values are interpolated."""
_BANK = 100
_SKETCHED_AT_MOST = 30_000
_SEED = 20_260_301


@lru_cache(maxsize=32)
def chance_gaps(window_rows: int, reference_rows: int) -> npt.NDArray[np.float32]:
    """[draws, 255] Window's cumulative share minus the reference's at each rank, without drift.

    The ranks of independent rows are uniform whatever is measured, so this is drawn once for all
    numbers. Ties only make it coarser. Both sides are samples of finite size that went through a
    quantile sketch; its error is drawn from sketches of uniform numbers, too. A fifth of a second,
    two megabytes.
    """
    rng = np.random.default_rng((_SEED, window_rows, reference_rows))
    gaps = _empirical(rng, window_rows) + _sketch_error(rng, window_rows)
    gaps -= _empirical(rng, reference_rows) + _sketch_error(rng, reference_rows)
    return gaps.astype(np.float32)


def neighbours(rows: int) -> tuple[tuple[int, float], ...]:
    """The sizes of the ladder around `rows`, with the weight of each in log rows."""
    if rows <= LADDER[0]:
        return ((LADDER[0], 1.0),)
    if rows >= LADDER[-1]:
        return ((LADDER[-1], 1.0),)
    above = int(np.searchsorted(LADDER, rows))
    if LADDER[above] == rows:
        return ((rows, 1.0),)
    low, high = LADDER[above - 1], LADDER[above]
    share = float(np.log(rows / low) / np.log(high / low))
    return ((low, 1 - share), (high, share))


def effective_rows(window_rows: int, reference_rows: int) -> float:
    """Gaps shrink with the root of this: n N / (n + N)."""
    return window_rows * reference_rows / (window_rows + reference_rows)


def _empirical(rng: np.random.Generator, rows: int) -> Floats:
    cells = rng.multinomial(rows, np.full(RANKS, 1 / RANKS), size=DRAWS)
    return np.cumsum(cells, axis=1)[:, :-1] / rows - _borders()


def _sketch_error(rng: np.random.Generator, rows: int) -> Floats:
    """What the sketch adds; its share of the rows hardly depends on their number."""
    bank = _error_bank(min(rows, _SKETCHED_AT_MOST))
    signs = rng.choice((-1.0, 1.0), size=(DRAWS, 1))
    picked: Floats = bank[rng.integers(0, _BANK, DRAWS)] * signs
    return picked


@lru_cache(maxsize=16)
def _error_bank(rows: int) -> Floats:
    rng = np.random.default_rng((_SEED, rows))
    errors = np.empty((_BANK, RANKS - 1))
    for errors_of_one in errors:
        values = rng.random(rows, np.float32)
        sketch = NumberDistribution.empty()
        sketch.update(values)
        exact = np.searchsorted(np.sort(values), _borders().astype(np.float32), "right") / rows
        errors_of_one[:] = cumulative_share(sketch, _borders()) - exact
    return errors


def cumulative_share(numbers: NumberDistribution, points: Floats) -> Floats:
    """Share of the rows at or below each point, by the sketch."""
    values, weights = numbers.weighted_values()
    below = np.concatenate([[0], np.cumsum(weights)])
    share: Floats = below[np.searchsorted(values, points, "right")] / below[-1]
    return share


def _borders() -> Floats:
    return np.arange(1, RANKS) / RANKS
