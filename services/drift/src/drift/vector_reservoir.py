"""A fair sample of rows of the projection, with what the model said of each."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
CAPACITY = 2048
_AT_ONCE = 16_384
UNKNOWN, WRONG, RIGHT = -1, 0, 1


# Equal to itself alone: what is made of a reference's rows is kept by them.
@dataclass(frozen=True, slots=True, eq=False)
class VectorRows:
    """Rows side by side; a vector is `values * scale`."""

    keys: Keys
    """[rows] Uniform 64-bit hashes of what tells the row from every other."""
    values: npt.NDArray[np.int8]
    """[rows, dimensions]"""
    scales: npt.NDArray[np.float32]
    """[rows]"""
    confidences: npt.NDArray[np.float32]
    """[rows] Of the model's answer; NaN where it has none."""
    outcomes: npt.NDArray[np.int8]
    """[rows] Whether the answer was `RIGHT` or `WRONG`; `UNKNOWN` where nobody said."""

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def empty(cls, dimensions: int) -> Self:
        """No rows."""
        return cls(
            np.empty(0, np.uint64),
            np.empty((0, dimensions), np.int8),
            np.empty(0, np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.int8),
        )

    def vectors(self) -> npt.NDArray[np.float32]:
        """[rows, dimensions] As numbers."""
        return self.values.astype(np.float32) * self.scales[:, None]

    def at(self, places: npt.NDArray[np.intp]) -> "VectorRows":
        """Those rows."""
        return VectorRows(
            self.keys[places],
            self.values[places],
            self.scales[places],
            self.confidences[places],
            self.outcomes[places],
        )

    def plus(self, other: "VectorRows") -> "VectorRows":
        """Both, one after the other."""
        return VectorRows(
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.scales, other.scales]),
            np.concatenate([self.confidences, other.confidences]),
            np.concatenate([self.outcomes, other.outcomes]),
        )


@dataclass(slots=True)
class VectorReservoir:
    """Keeps the rows with the smallest keys: a uniform sample without replacement.

    The same rows give the same sample in whatever order and however often they come, and two may
    be merged. Rows of other dimensions than the first are not taken.
    """

    sample: VectorRows
    """By rising key, at most 2048 rows."""
    seen: int = field(default=0)
    """Rows that were offered."""

    @classmethod
    def empty(cls, dimensions: int) -> Self:
        """Of no rows."""
        return cls(VectorRows.empty(dimensions))

    @property
    def dimensions(self) -> int:
        """Of each vector."""
        return int(self.sample.values.shape[1])

    def vectors(self) -> npt.NDArray[np.float32]:
        """[rows, dimensions] The sample as numbers."""
        return self.sample.vectors()

    def update(self, rows: VectorRows) -> None:
        """Takes rows."""
        if rows.values.shape[1] != self.dimensions:
            return
        self.seen += len(rows)
        for start in range(0, len(rows), _AT_ONCE):
            self._take(rows.at(np.arange(start, min(start + _AT_ONCE, len(rows)))))

    def merge(self, other: "VectorReservoir") -> None:
        """Takes the rows of another."""
        seen = self.seen + other.seen
        self.update(other.sample)
        self.seen = seen

    def _take(self, rows: VectorRows) -> None:
        if len(self.sample) >= CAPACITY:
            rows = rows.at(np.flatnonzero(rows.keys < self.sample.keys[-1]))
        if not len(rows):
            return
        both = self.sample.plus(rows)
        _, first = np.unique(both.keys, return_index=True)
        self.sample = both.at(first[:CAPACITY])
