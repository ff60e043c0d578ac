"""How many of the inputs differ, by their hashes, in bounded memory."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
CAPACITY = 4096
"""Inputs that are told apart exactly; beyond, their number is right to 1.6 % (standard error)."""
_ALL = 2**64
_AT_ONCE = 65_536


class DistinctInputs:
    """Keeps the smallest hashes with the number of rows of each.

    Hashes are uniform, so those below the largest kept one are a fair sample of the different
    inputs; each is kept with all of its rows. Two may be merged in any order.
    Source: Beyer et al., "On synopses for distinct-value estimation under multiset operations",
    2007 (bottom-k).
    """

    def __init__(
        self,
        hashes: Hashes | None = None,
        counts: npt.NDArray[np.int64] | None = None,
        rows: int = 0,
    ) -> None:
        self.hashes = np.empty(0, np.uint64) if hashes is None else hashes
        """Rising."""
        self.counts = np.empty(0, np.int64) if counts is None else counts
        """Rows of each hash."""
        self.rows = rows

    def update(self, hashes: npt.NDArray[Any]) -> None:
        """Takes one 64-bit hash for each row."""
        self.rows += len(hashes)
        for start in range(0, len(hashes), _AT_ONCE):
            part = self._below(hashes[start : start + _AT_ONCE].astype(np.uint64))
            self._take(*np.unique(part, return_counts=True))

    def merge(self, other: "DistinctInputs") -> None:
        """Takes the rows of another."""
        self.rows += other.rows
        self._take(other.hashes, other.counts)

    def distinct(self) -> float:
        """How many different inputs the rows hold; exact up to the capacity."""
        if len(self.hashes) < CAPACITY:
            return float(len(self.hashes))
        return (CAPACITY - 1) * _ALL / (float(self.hashes[-1]) + 1)

    def duplicate_rate(self) -> float:
        """Share of the rows whose input came before among them; 0 without rows."""
        return 1 - 1 / float(self.counts.mean()) if len(self.counts) else 0.0

    def expected_duplicate_rate(self, rows: int) -> float:
        """What `rows` of these rows, drawn at random without replacement, would have.

        The rate grows with the number of rows, so two sets of another size cannot be compared
        without this. Source: Hurlbert, "The nonconcept of species diversity", 1971 (rarefaction).
        """
        if rows >= self.rows:
            return self.duplicate_rate()
        if rows <= 0 or not len(self.counts):
            return 0.0
        share = rows / self.rows
        # An input is missed by all draws: for c of N rows, (1 - n/N)^c is right to c/N.
        seen = 1 - (1 - share) ** self.counts.astype(np.float64)
        return max(0.0, 1 - float(seen.mean()) / (share * float(self.counts.mean())))

    def _below(self, hashes: Hashes) -> Hashes:
        return hashes[hashes <= self.hashes[-1]] if len(self.hashes) >= CAPACITY else hashes

    def _take(self, hashes: Hashes, counts: npt.NDArray[np.int64]) -> None:
        both, places = np.unique(np.concatenate([self.hashes, hashes]), return_inverse=True)
        sums = np.bincount(places, np.concatenate([self.counts, counts]), minlength=len(both))
        self.hashes = both[:CAPACITY]
        self.counts = sums[:CAPACITY].astype(np.int64)


def hash_prefix(digests: Iterable[bytes]) -> Hashes:
    """The first 8 bytes of each digest as a number."""
    return np.frombuffer(b"".join(digest[:8].ljust(8, b"\0") for digest in digests), ">u8").astype(
        np.uint64
    )
