"""Chance among rows that depend on each other: windows of whole blocks of the reference itself.

Hourly rows of a week know of each other; a test that takes them for independent calls half of all
weeks drift. So a window is judged by how far each stretch of the reference that is as long lies
from the rest of the reference. A block without rows is a gap, and no stretch reaches over one: days
from two different months look more usual together than any week does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from drift.category_counts import CategoryCounts
from drift.domain import Estimate
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution
from drift.number_drift import DistanceNull, NumberScale
from drift.rank_process import Floats, cumulative_share
from drift.signals import Held, Kind, SignalReference, SignalWindow, Watched
from drift.verdict import Finding, smallest_q

FEWEST_STRETCHES = 20
"""That do not overlap; with fewer the reference does not know what is usual."""
_PARTS = 20
_HEADROOM = 0.8
"""Of q, at which the reference's own stretches alarm: those to come differ a little more."""


@dataclass(frozen=True, slots=True)
class SignalBlocks:
    """A signal block by block, as numbers that add up."""

    signal: Watched
    scale: NumberScale | None
    names: tuple[str, ...]
    sums: Floats
    """[blocks, columns] Rows at or below each point and all rows; rows of each category; or
    numerator and denominator."""

    @classmethod
    def of(cls, signal: Watched, held: Held, blocks: Sequence[SignalWindow]) -> Self | None:
        """None for what cannot be judged by blocks: constants, vectors, repeated inputs."""
        scale: NumberScale | None = None
        names: tuple[str, ...] = ()
        match held:
            case NumberDistribution():
                scale = NumberScale.of(held)
                if scale is None:
                    return None
            case CategoryCounts():
                names = tuple(sorted(held.by_category()))
            case RatioSums():
                pass
            case _:
                return None
        empty = cls(signal, scale, names, np.empty((0, 0)))
        sums = np.array([empty.summed(block.signals.get(signal)) for block in blocks])
        return cls(signal, scale, names, sums)

    def summed(self, held: Held | None) -> Floats:
        """[columns] A window, or a block, as numbers that add up."""
        match held:
            case NumberDistribution() if self.scale is not None:
                rows = held.moments.rows
                return np.append(cumulative_share(held, self.scale.points), 1.0) * rows
            case CategoryCounts():
                counts = held.by_category()
                known = [counts.get(name, 0) for name in self.names]
                return np.array([*known, held.rows - sum(known)], np.float64)
            case RatioSums():
                return np.array([held.numerator, held.denominator])
            case _:
                columns = len(self.names) + 1 if self.signal.kind is Kind.CATEGORY else 2
                if self.scale is not None:
                    columns = len(self.scale.points) + 1
                return np.zeros(columns)

    def distances(self, ours: Floats, theirs: Floats) -> tuple[Floats, Floats]:
        """Two distances of sums [..., columns] from others; not finite where a side is empty."""
        with np.errstate(divide="ignore", invalid="ignore"):
            match self.signal.kind:
                case Kind.NUMBER if self.scale is not None:
                    gaps = (ours / ours[..., -1:] - theirs / theirs[..., -1:])[..., :-1]
                    return (
                        self.scale.kolmogorov_smirnov(gaps),
                        self.scale.wasserstein(gaps),
                    )
                case Kind.CATEGORY:
                    shares = [side / side.sum(axis=-1, keepdims=True) for side in (ours, theirs)]
                    total = np.asarray(np.abs(shares[0] - shares[1]).sum(axis=-1) / 2)
                    return total, total
                case _:
                    ratios = [side[..., 0] / side[..., 1] for side in (ours, theirs)]
                    gap = np.asarray(np.abs(ratios[0] - ratios[1]))
                    return gap, gap


@dataclass(frozen=True, slots=True)
class Stretches:
    """The nulls of one window length."""

    blocks: Mapping[Watched, SignalBlocks]
    nulls: Mapping[Watched, DistanceNull]
    q: float
    """The one asked for, or where 4 % of the reference's own stretches (at 0.05) would alarm if
    that is lower. Never higher: weeks to come differ a little more."""

    def find(self, signal: Watched, held: Held, smallest: float, level: float) -> Finding | None:
        """What stands out of the reference's own stretches; None if it cannot be said."""
        if signal not in self.nulls:
            return None
        blocks, null = self.blocks[signal], self.nulls[signal]
        total = blocks.sums.sum(axis=0)
        first, second = blocks.distances(blocks.summed(held), total)
        if not np.isfinite(second):
            return None
        value, usual = float(second), null.distances[1]
        # A stretch's own chance is what it differs by from the others without drift.
        reach = float(np.quantile(usual, 0.95))
        critical = float(np.quantile(usual, min(1.0, 1 - level)))
        return Finding(
            null.p_value(float(first), value),
            Estimate(value, max(0.0, value - reach), value + reach),
            max(critical, smallest) + reach,
        )


class BlockNulls:
    """Makes the nulls for the lengths that windows have."""

    def __init__(self, reference: SignalReference, q: float) -> None:
        self._blocks = {
            signal: blocks
            for signal, held in reference.window.signals.items()
            if (blocks := SignalBlocks.of(signal, held, reference.blocks)) is not None
        }
        self._filled = np.array([block.rows > 0 for block in reference.blocks])
        self._count = int(self._filled.sum())
        self._block_rows = sum(block.rows for block in reference.blocks) / max(1, self._count)
        self._q = q
        self._made: dict[int, Stretches] = {}

    def stretches(self, rows: int) -> Stretches | None:
        """For windows of so many rows; None where the reference is too short to say."""
        length = max(1, round(rows / self._block_rows)) if self._block_rows else 0
        if not length or self._count < FEWEST_STRETCHES * length:
            return None
        if length not in self._made:
            self._made[length] = self._make(length)
        return self._made[length]

    def _make(self, length: int) -> Stretches:
        nulls: dict[Watched, DistanceNull] = {}
        chances = []
        begins = np.flatnonzero(np.convolve(self._filled, np.ones(length), "valid") == length)
        for signal, blocks in self._blocks.items():
            running = np.concatenate(
                [np.zeros((1, blocks.sums.shape[1])), np.cumsum(blocks.sums, axis=0)]
            )
            ours = running[begins + length] - running[begins]
            first, second = blocks.distances(ours, running[-1] - ours)
            seen = np.isfinite(first) & np.isfinite(second)
            if seen.sum() < FEWEST_STRETCHES:
                continue
            nulls[signal] = DistanceNull.of(first[seen], second[seen])
            chance = np.ones(len(ours))
            chance[seen] = _left_out(first[seen], second[seen], begins[seen], length)
            chances.append(chance)
        q = self._q
        if chances:
            usual = float(np.quantile(smallest_q(np.column_stack(chances)), _HEADROOM * self._q))
            q = min(q, usual)
        return Stretches(self._blocks, nulls, q)


def _left_out(first: Floats, second: Floats, begins: npt.NDArray[np.intp], length: int) -> Floats:
    """[stretches] P-values of stretches by others' distances, as a window to come gets its own.

    A twentieth at a time is judged by the stretches that share no block with any of it: a stretch's
    neighbours, nearly as far away as itself, make it look usual.
    """
    chances = np.ones(len(begins))
    for part in np.array_split(np.arange(len(begins)), _PARTS):
        apart = (begins <= begins[part[0]] - length) | (begins >= begins[part[-1]] + length)
        if apart.any():
            null = DistanceNull.of(first[apart], second[apart])
            chances[part] = null.p_values(first[part], second[part])
    return chances
