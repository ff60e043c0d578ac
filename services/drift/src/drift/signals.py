"""What is watched of a model, and what a window and a reference hold of it.

Everything here is mergeable in any order and bounded: a window of 20 signals takes less than 1 MB,
however many rows it has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from drift.category_counts import CategoryCounts
from drift.distinct_inputs import DistinctInputs, Hashes
from drift.domain import Estimate, ModelVersion
from drift.intervals import RatioSums
from drift.number_distribution import NumberDistribution
from drift.vector_reservoir import VectorReservoir, VectorRows


class Group(StrEnum):
    """What a signal is about: incidents are told apart by it."""

    TEXT = "text"
    PROJECTION = "projection"
    TABULAR = "tabular"
    OUTPUT = "output"
    SERVICE = "service"
    FEEDBACK = "feedback"


class Kind(StrEnum):
    """How a signal is kept, and so how it can be compared."""

    NUMBER = "number"
    """A `NumberDistribution`: quantile sketch and moments."""
    RATIO = "ratio"
    """`RatioSums`: of a numerator and its denominator, with second moments over rows."""
    CATEGORY = "category"
    """`CategoryCounts`: rows by category, the rare ones together."""
    VECTOR = "vector"
    """A `VectorReservoir`: a fair sample of rows."""
    DISTINCT = "distinct"
    """`DistinctInputs`: how many inputs are repeated."""


@dataclass(frozen=True, slots=True, order=True)
class Watched:
    """One signal."""

    name: str
    group: Group
    kind: Kind


INPUT_TOKENS = Watched("input_tokens", Group.TEXT, Kind.NUMBER)
"""Special tokens included, after truncation."""
UNKNOWN_TOKEN_RATE = Watched("unknown_token_rate", Group.TEXT, Kind.RATIO)
"""Of the tokens without the special ones."""
SCRIPT = Watched("script", Group.TEXT, Kind.CATEGORY)
"""The script that most letters of a text belong to; texts without letters are left out."""
MIXED_SCRIPT_RATE = Watched("mixed_script_rate", Group.TEXT, Kind.RATIO)
"""Letters of other scripts than the text's own, of all letters."""
DUPLICATES = Watched("duplicate_rate", Group.TEXT, Kind.DISTINCT)
PROJECTION = Watched("projection", Group.PROJECTION, Kind.VECTOR)
LABEL = Watched("label", Group.OUTPUT, Kind.CATEGORY)
CONFIDENCE = Watched("confidence", Group.OUTPUT, Kind.NUMBER)
"""The probability of the label."""
ENTROPY = Watched("entropy", Group.OUTPUT, Kind.NUMBER)
"""Of the probabilities, in nats."""
MARGIN = Watched("margin", Group.OUTPUT, Kind.NUMBER)
"""The highest probability minus the second highest."""
LATENCY = Watched("inference_ms", Group.SERVICE, Kind.NUMBER)
"""Milliseconds in the model, of predictions that ran it. A reference made by training has none."""
ACCURACY = Watched("accuracy", Group.FEEDBACK, Kind.RATIO)
"""Answers that feedback agreed with, of those that it named a label for."""
CALIBRATION_GAP = Watched("calibration_gap", Group.FEEDBACK, Kind.NUMBER)
"""Confidence minus 1 where feedback agreed, minus 0 where not: its mean is 0 if calibrated."""

PACKAGE = "package"
"""Names the reference that a model version's package carries."""


def feature(name: str) -> Watched:
    """The finite values of a feature of a table."""
    return Watched(f"feature:{name}", Group.TABULAR, Kind.NUMBER)


def missing_rate(name: str) -> Watched:
    """Rows in which a feature has no finite value."""
    return Watched(f"missing:{name}", Group.TABULAR, Kind.RATIO)


def out_of_range_rate(name: str) -> Watched:
    """Rows in which a feature lies outside of the range that its package states."""
    return Watched(f"out_of_range:{name}", Group.TABULAR, Kind.RATIO)


def predicted_value(name: str) -> Watched:
    """A number that a model predicts."""
    return Watched(f"predicted:{name}", Group.OUTPUT, Kind.NUMBER)


Held = NumberDistribution | RatioSums | CategoryCounts | VectorReservoir | DistinctInputs


@dataclass(frozen=True, slots=True)
class RatioColumn:
    """Numerators and denominators of rows: [rows] each."""

    numerators: npt.NDArray[np.float64]
    denominators: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CategoryColumn:
    """Counted rows by category, or one category for each row."""

    categories: Mapping[str, int] | Iterable[str]


Column = npt.NDArray[np.floating] | RatioColumn | CategoryColumn | VectorRows | Hashes
"""Rows of one signal. Numbers are floats, those that are not finite are left out; hashes are 64-bit
integers. A column may be shorter than the others: not every row has every signal."""
Columns = Mapping[Watched, Column]


@dataclass(slots=True)
class SignalWindow:
    """Signals of one set of rows; a signal that no row had is not there."""

    rows: int = 0
    signals: dict[Watched, Held] = field(default_factory=dict)

    def number(self, signal: Watched) -> NumberDistribution | None:
        """What is held of a number."""
        held = self.signals.get(signal)
        return held if isinstance(held, NumberDistribution) else None

    def ratio(self, signal: Watched) -> RatioSums | None:
        """What is held of a ratio."""
        held = self.signals.get(signal)
        return held if isinstance(held, RatioSums) else None

    def category(self, signal: Watched) -> CategoryCounts | None:
        """What is held of a category."""
        held = self.signals.get(signal)
        return held if isinstance(held, CategoryCounts) else None

    def vectors(self, signal: Watched = PROJECTION) -> VectorReservoir | None:
        """What is held of a vector."""
        held = self.signals.get(signal)
        return held if isinstance(held, VectorReservoir) else None

    def distinct(self, signal: Watched = DUPLICATES) -> DistinctInputs | None:
        """What is held of repeated inputs."""
        held = self.signals.get(signal)
        return held if isinstance(held, DistinctInputs) else None

    def update(self, rows: int, columns: Columns) -> None:
        """Takes rows, as columns."""
        self.rows += rows
        for signal, column in columns.items():
            held = self.signals.get(signal)
            taken = _take(held, signal.kind, column)
            if taken is not None:
                self.signals[signal] = taken

    def merge(self, other: "SignalWindow") -> None:
        """Takes the rows of another, which keeps its own."""
        self.rows += other.rows
        for signal, theirs in other.signals.items():
            self.signals[signal] = _merged(self.signals.get(signal), theirs)


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Reference rows whose confidence is above `low` and up to `high`."""

    low: float
    high: float
    rows: int
    confidence: float
    """Mean."""
    right: int
    """Rows whose label was the true one."""


@dataclass(frozen=True, slots=True)
class KnownAccuracy:
    """How often the model was right on reference rows, whose true labels are known."""

    rows: int
    accuracy: Estimate
    bins: tuple[ConfidenceBin, ...]
    """By rising confidence; bins without rows are left out."""


@dataclass(frozen=True, slots=True)
class SignalReference:
    """What a model version saw and said before it served, or when all was well."""

    about: ModelVersion
    source: str
    window: SignalWindow
    known: KnownAccuracy | None = None
    blocks: tuple[SignalWindow, ...] = ()
    """The same rows by block (a day of hourly data), in order, where rows depend on each other
    within one; none where rows are independent. One without rows is a gap: those beside it are no
    neighbours."""
    reference_id: str = PACKAGE
    """Empty where it is a range of time that is used once."""
    labelled: "SignalReference | None" = None
    """The one that says what its confidences are worth, where its own rows have no labels."""


def _take(held: Held | None, kind: Kind, column: Column) -> Held | None:
    """Updates what is held, or begins it; None where a column has nothing to begin with."""
    match kind, column:
        case Kind.RATIO, RatioColumn():
            sums = held if isinstance(held, RatioSums) else RatioSums()
            sums = sums.plus_rows(column.numerators, column.denominators)
            return sums if sums.rows else None
        case Kind.CATEGORY, CategoryColumn():
            counts = held if isinstance(held, CategoryCounts) else CategoryCounts()
            if isinstance(column.categories, Mapping):
                counts.add(column.categories)
            else:
                counts.update(column.categories)
            return counts if counts.rows else None
        case Kind.VECTOR, VectorRows():
            if not isinstance(held, VectorReservoir):
                held = VectorReservoir.empty(column.values.shape[1])
            held.update(column)
            return held if held.seen else None
        case Kind.DISTINCT, np.ndarray():
            distinct = held if isinstance(held, DistinctInputs) else DistinctInputs()
            distinct.update(column)
            return distinct if distinct.rows else None
        case Kind.NUMBER, np.ndarray():
            numbers = held if isinstance(held, NumberDistribution) else NumberDistribution.empty()
            numbers.update(column)
            return numbers if numbers.moments.rows else None
    raise TypeError(f"a {kind} signal has no {type(column).__name__}")


def _merged(ours: Held | None, theirs: Held) -> Held:
    match ours, theirs:
        case RatioSums(), RatioSums():
            return ours.merged(theirs)
        case _, RatioSums():
            return theirs
        case NumberDistribution() | None, NumberDistribution():
            numbers = ours or NumberDistribution.empty()
            numbers.merge(theirs)
            return numbers
        case CategoryCounts() | None, CategoryCounts():
            counts = ours or CategoryCounts()
            counts.merge(theirs)
            return counts
        case VectorReservoir() | None, VectorReservoir():
            vectors = ours or VectorReservoir.empty(theirs.dimensions)
            vectors.merge(theirs)
            return vectors
        case DistinctInputs() | None, DistinctInputs():
            distinct = ours or DistinctInputs()
            distinct.merge(theirs)
            return distinct
    raise TypeError("two signals of one name are of different kinds")
