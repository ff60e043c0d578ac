"""Signals as JSON: the same form in a package's reference and in a stored window."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, model_validator

from drift.category_counts import CategoryCounts
from drift.distinct_inputs import CAPACITY as MOST_HASHES
from drift.distinct_inputs import DistinctInputs
from drift.intervals import RatioSums
from drift.number_distribution import Moments, NumberDistribution
from drift.signals import Group, Held, Kind, SignalWindow, Watched
from drift.vector_reservoir import CAPACITY as MOST_VECTORS
from drift.vector_reservoir import RIGHT, UNKNOWN, VectorReservoir, VectorRows

Count = Annotated[int, Field(ge=0)]
Rows = Annotated[int, Field(ge=1)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
_ROUNDING = 1e-6
_MOST_SIGNALS = 2000


class Record(BaseModel):
    """Strict about types, lenient about fields that a later version may add."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _SignalRecord(Record):
    # Names of enumerations are texts in JSON.
    group: Annotated[Group, Field(strict=False)]


class NumberRecord(_SignalRecord):
    """A distribution of numbers."""

    kind: Literal["number"] = "number"
    kll: str
    """A `kll_floats_sketch` of Apache DataSketches, base64."""
    rows: Rows
    mean: FiniteFloat
    variance: NotNegative
    """Unbiased sample variance."""
    minimum: FiniteFloat
    maximum: FiniteFloat

    @classmethod
    def of(cls, group: Group, distribution: NumberDistribution) -> Self:
        """What is kept of a distribution that has rows."""
        moments = distribution.moments
        return cls(
            group=group,
            kll=_text(distribution.sketch_bytes()),
            rows=moments.rows,
            mean=moments.mean,
            variance=moments.variance,
            minimum=moments.minimum,
            maximum=moments.maximum,
        )

    def held(self) -> NumberDistribution:
        """Gives it back.

        Raises:
            ValueError: the sketch is broken.
        """
        moments = Moments(
            self.rows, self.mean, self.variance * (self.rows - 1), self.minimum, self.maximum
        )
        return NumberDistribution.restore(moments, _bytes(self.kll))

    @model_validator(mode="after")
    def _mean_lies_in_the_range(self) -> Self:
        slack = _ROUNDING * max(1.0, abs(self.minimum), abs(self.maximum))
        if not self.minimum - slack <= self.mean <= self.maximum + slack:
            raise ValueError("the mean lies outside of the range")
        return self


class RatioRecord(_SignalRecord):
    """Sums over rows of a numerator that is part of its denominator."""

    kind: Literal["ratio"] = "ratio"
    rows: Rows
    numerator: NotNegative
    denominator: NotNegative
    numerator_squared: NotNegative
    denominator_squared: NotNegative
    product: NotNegative

    @classmethod
    def of(cls, group: Group, sums: RatioSums) -> Self:
        """What is kept of the sums."""
        return cls(
            group=group,
            rows=sums.rows,
            numerator=sums.numerator,
            denominator=sums.denominator,
            numerator_squared=sums.numerator_squared,
            denominator_squared=sums.denominator_squared,
            product=sums.product,
        )

    def held(self) -> RatioSums:
        """Gives them back."""
        return RatioSums(
            self.rows,
            self.numerator,
            self.denominator,
            self.numerator_squared,
            self.denominator_squared,
            self.product,
        )

    @model_validator(mode="after")
    def _numerator_is_part_of_the_denominator(self) -> Self:
        if self.numerator > self.denominator:
            raise ValueError("the numerator is above the denominator")
        return self


class CategoryRecord(_SignalRecord):
    """Rows by category."""

    kind: Literal["category"] = "category"
    counts: dict[str, Count]
    other: Count = 0

    @classmethod
    def of(cls, group: Group, counts: CategoryCounts) -> Self:
        """What is kept of the counts."""
        return cls(group=group, counts=counts.counts, other=counts.other)

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.counts.values()) + self.other

    def held(self) -> CategoryCounts:
        """Gives them back."""
        counts = CategoryCounts(other=self.other)
        counts.add(self.counts)
        return counts


class VectorRecord(_SignalRecord):
    """A sample of vectors; arrays are little-endian, base64."""

    kind: Literal["vector"] = "vector"
    dimensions: Annotated[int, Field(ge=1, le=256)]
    rows: Rows
    """That the sample was taken of."""
    keys: str
    values: str
    scales: str
    confidences: str
    outcomes: str

    @classmethod
    def of(cls, group: Group, reservoir: VectorReservoir) -> Self:
        """What is kept of a reservoir that has rows."""
        sample = reservoir.sample
        return cls(
            group=group,
            dimensions=reservoir.dimensions,
            rows=reservoir.seen,
            keys=_text(sample.keys.astype("<u8").tobytes()),
            values=_text(sample.values.tobytes()),
            scales=_text(sample.scales.astype("<f4").tobytes()),
            confidences=_text(sample.confidences.astype("<f4").tobytes()),
            outcomes=_text(sample.outcomes.tobytes()),
        )

    def held(self) -> VectorReservoir:
        """Gives it back.

        Raises:
            ValueError: its parts contradict each other.
        """
        sample = VectorRows(
            _array(self.keys, "<u8").astype(np.uint64),
            _array(self.values, "i1").reshape(-1, self.dimensions),
            _array(self.scales, "<f4").astype(np.float32),
            _array(self.confidences, "<f4").astype(np.float32),
            _array(self.outcomes, "i1"),
        )
        lengths = {len(sample.values), len(sample.scales), len(sample.confidences)}
        if lengths | {len(sample.outcomes)} != {len(sample)} or len(sample) > MOST_VECTORS:
            raise ValueError("the sample of vectors contradicts itself")
        if np.any(sample.keys[1:] <= sample.keys[:-1]) or not np.isfinite(sample.scales).all():
            raise ValueError("the sample of vectors is out of order")
        if np.any((sample.outcomes < UNKNOWN) | (sample.outcomes > RIGHT)):
            raise ValueError("the sample of vectors has outcomes that are none")
        return VectorReservoir(sample, self.rows)


class DistinctRecord(_SignalRecord):
    """The smallest hashes of inputs, and the rows of each; arrays are little-endian, base64."""

    kind: Literal["distinct"] = "distinct"
    rows: Rows
    hashes: str
    counts: str

    @classmethod
    def of(cls, group: Group, inputs: DistinctInputs) -> Self:
        """What is kept of inputs that have rows."""
        return cls(
            group=group,
            rows=inputs.rows,
            hashes=_text(inputs.hashes.astype("<u8").tobytes()),
            counts=_text(inputs.counts.astype("<u4").tobytes()),
        )

    def held(self) -> DistinctInputs:
        """Gives them back.

        Raises:
            ValueError: they contradict each other.
        """
        hashes = _array(self.hashes, "<u8").astype(np.uint64)
        counts = _array(self.counts, "<u4").astype(np.int64)
        if not 0 < len(hashes) == len(counts) <= MOST_HASHES or int(counts.sum()) > self.rows:
            raise ValueError("the hashes contradict their counts")
        if np.any(hashes[1:] <= hashes[:-1]):
            raise ValueError("the hashes are out of order")
        return DistinctInputs(hashes, counts, self.rows)


SignalRecord = Annotated[
    NumberRecord | RatioRecord | CategoryRecord | VectorRecord | DistinctRecord,
    Field(discriminator="kind"),
]
Signals = Annotated[dict[str, SignalRecord], Field(max_length=_MOST_SIGNALS)]
SIGNALS: TypeAdapter[dict[str, SignalRecord]] = TypeAdapter(Signals)


def records_of(window: SignalWindow) -> dict[str, SignalRecord]:
    """All signals of a window by name."""
    return {signal.name: _record(signal.group, held) for signal, held in window.signals.items()}


def window_of(rows: int, records: Mapping[str, SignalRecord]) -> SignalWindow:
    """Gives a window back.

    Raises:
        ValueError: a signal is broken, or has more rows than the window.
    """
    # Feedback is on predictions of whatever window.
    if any(of.rows > rows for of in records.values() if of.group is not Group.FEEDBACK):
        raise ValueError("its signals count different rows")
    signals: dict[Watched, Held] = {
        Watched(name, record.group, Kind(record.kind)): record.held()
        for name, record in records.items()
    }
    return SignalWindow(rows, signals)


def _record(group: Group, held: Held) -> SignalRecord:
    match held:
        case NumberDistribution():
            return NumberRecord.of(group, held)
        case RatioSums():
            return RatioRecord.of(group, held)
        case CategoryCounts():
            return CategoryRecord.of(group, held)
        case VectorReservoir():
            return VectorRecord.of(group, held)
        case DistinctInputs():
            return DistinctRecord.of(group, held)


def _text(content: bytes) -> str:
    return b64encode(content).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


def _array(text: str, dtype: str) -> npt.NDArray[Any]:
    return np.frombuffer(_bytes(text), dtype)
