"""Vectors of a window beside those of a reference: mean embedding, and a domain classifier."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from drift.domain_classifier import Floats, Separation, separate

FEWEST_VECTORS = 20
_FEATURES = 128
"""Pairs of cosine and sine."""
_DRAWS = 4000
_SEED = 20_260_302


@dataclass(frozen=True, slots=True)
class MeanEmbedding:
    """Maximum mean discrepancy to a reference through random Fourier features.

    Costs one matrix product of the window's rows, where all pairs of rows would cost the square.
    Sources: Gretton et al., "A kernel two-sample test" (2012) and "A fast, consistent kernel
    two-sample test" (2009, the null as a weighted sum of chi squares); Rahimi and Recht, "Random
    features for large-scale kernel machines" (2007).
    """

    frequencies: Floats
    mean: Floats
    null: Floats
    """Rising draws of the squared discrepancy times the effective rows, without drift."""
    rows: int

    @classmethod
    def of(cls, reference: Floats) -> Self:
        """A Gaussian kernel as wide as the median distance of the reference's rows."""
        rng = np.random.default_rng(_SEED)
        pairs = rng.integers(0, len(reference), size=(2, 1000))
        distances = np.linalg.norm(reference[pairs[0]] - reference[pairs[1]], axis=1)
        positive = distances[distances > 0]
        width = float(np.median(positive)) if len(positive) else 1.0
        frequencies = rng.standard_normal((reference.shape[1], _FEATURES)) / width
        embedded = _embed(reference, frequencies)
        spectrum = np.linalg.eigvalsh(np.atleast_2d(np.cov(embedded.T)))
        spectrum = spectrum[spectrum > 1e-9]
        draws = rng.standard_normal((_DRAWS, len(spectrum))) ** 2 @ spectrum
        return cls(frequencies, embedded.mean(axis=0), np.sort(draws), len(reference))

    def p_value(self, window: Floats) -> float:
        """Chance of a mean embedding that is as far away."""
        gap = _embed(window, self.frequencies).mean(axis=0) - self.mean
        effective = len(window) * self.rows / (len(window) + self.rows)
        # Rounding must not make a difference of vectors that are all alike.
        statistic = float(gap @ gap) * effective - 1e-9
        beyond = len(self.null) - np.searchsorted(self.null, statistic, "left")
        return min(1.0, float((1 + beyond + np.sqrt(beyond)) / (len(self.null) + 1)))


@dataclass(frozen=True, slots=True)
class VectorFinding:
    """What both tests say together."""

    p_value: float
    separation: Separation


class VectorTest:
    """Compares windows of vectors with one reference; both have at least 20 rows."""

    def __init__(self, reference: Floats) -> None:
        self._reference = reference
        self._embedding = MeanEmbedding.of(reference)

    def compare(self, window: Floats) -> VectorFinding:
        """The smaller p-value, doubled: a shift of means shows in one, of shape in the other."""
        separation = separate(window, self._reference)
        p_value = min(1.0, 2 * min(self._embedding.p_value(window), separation.p_value))
        return VectorFinding(p_value, separation)


def _embed(rows: Floats, frequencies: Floats) -> Floats:
    # The phases are exact to seven digits; waves of such numbers take a tenth of the time.
    phases = (rows @ frequencies).astype(np.float32)
    waves = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
    return np.asarray(waves / np.sqrt(frequencies.shape[1]), np.float64)
