"""Held-out rows as a model saw them, and the parts of them that are looked at alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.domain import Example
from training.probabilities import Integers

# Lengths in tokens that parts end at; one more part is open.
LENGTHS = (16, 32, 64, 128, 256)

Chosen = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled rows; ``tokens`` counts after the cut, specials included."""

    texts: tuple[str, ...]
    sources: tuple[str, ...]
    labels: Integers
    tokens: Integers
    names: tuple[str, ...]
    """The labels' names."""

    @classmethod
    def of(cls, examples: Sequence[Example], tokens: Sequence[int], names: Sequence[str]) -> Rows:
        """Rows of examples and their lengths in tokens."""
        return cls(
            tuple(row.text for row in examples),
            tuple(row.source for row in examples),
            np.array([row.label for row in examples], np.int64),
            np.array(tokens, np.int64),
            tuple(names),
        )


def slices(rows: Rows) -> Iterator[tuple[str, str, Chosen]]:
    """The parts of the rows by source, by length in tokens and by label; none is empty."""
    yield from by_source(rows)
    low = 0
    for high in (*LENGTHS, None):
        inside = rows.tokens > low
        name = f"over {low} tokens"
        if high is not None:
            inside &= rows.tokens <= high
            name = f"{low + 1} to {high} tokens"
            low = high
        if inside.any():
            yield "length", name, np.flatnonzero(inside)
    for label, name in enumerate(rows.names):
        if (rows.labels == label).any():
            yield "label", name, np.flatnonzero(rows.labels == label)


def by_source(rows: Rows) -> Iterator[tuple[str, str, Chosen]]:
    """The sources in alphabetical order."""
    sources = np.array(rows.sources)
    for source in sorted(set(rows.sources)):
        yield "source", source, np.flatnonzero(sources == source)
