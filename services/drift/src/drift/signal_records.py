"""Observations as JSON: the same form in a package's reference and in a stored window."""

from base64 import b64decode, b64encode
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from drift.intervals import RatioSums
from drift.number_distribution import Moments, NumberDistribution
from drift.observations import Observations

Count = Annotated[int, Field(ge=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
_ROUNDING = 1e-6


class Record(BaseModel):
    """Strict about types, lenient about fields that a later version may add."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class NumberRecord(Record):
    """A distribution of numbers."""

    kind: Literal["number"] = "number"
    kll: str
    """A `kll_floats_sketch` of Apache DataSketches, base64."""
    rows: Annotated[int, Field(ge=1)]
    mean: FiniteFloat
    variance: NotNegative
    """Unbiased sample variance."""
    minimum: FiniteFloat
    maximum: FiniteFloat

    @classmethod
    def of(cls, distribution: NumberDistribution) -> Self:
        """What is kept of a distribution that has rows."""
        moments = distribution.moments
        return cls(
            kll=b64encode(distribution.sketch_bytes()).decode(),
            rows=moments.rows,
            mean=moments.mean,
            variance=moments.variance,
            minimum=moments.minimum,
            maximum=moments.maximum,
        )

    def distribution(self) -> NumberDistribution:
        """Gives it back.

        Raises:
            ValueError: the sketch is broken.
        """
        moments = Moments(
            self.rows, self.mean, self.variance * (self.rows - 1), self.minimum, self.maximum
        )
        return NumberDistribution.restore(moments, b64decode(self.kll, validate=True))

    @model_validator(mode="after")
    def _mean_lies_in_the_range(self) -> Self:
        slack = _ROUNDING * max(1.0, abs(self.minimum), abs(self.maximum))
        if not self.minimum - slack <= self.mean <= self.maximum + slack:
            raise ValueError("the mean lies outside of the range")
        return self


class RatioRecord(Record):
    """Sums over rows of unknown tokens and tokens, special tokens left out."""

    kind: Literal["ratio"] = "ratio"
    unknown_tokens: Count
    tokens: Count
    rows: Annotated[int, Field(ge=1)]
    sum_unknown_squared: Count
    sum_tokens_squared: Count
    sum_unknown_times_tokens: Count

    @classmethod
    def of(cls, sums: RatioSums) -> Self:
        """What is kept of the sums; they are whole."""
        return cls(
            unknown_tokens=round(sums.numerator),
            tokens=round(sums.denominator),
            rows=sums.rows,
            sum_unknown_squared=round(sums.numerator_squared),
            sum_tokens_squared=round(sums.denominator_squared),
            sum_unknown_times_tokens=round(sums.product),
        )

    def sums(self) -> RatioSums:
        """Gives them back."""
        return RatioSums(
            self.rows,
            self.unknown_tokens,
            self.tokens,
            self.sum_unknown_squared,
            self.sum_tokens_squared,
            self.sum_unknown_times_tokens,
        )

    @model_validator(mode="after")
    def _unknown_tokens_are_tokens(self) -> Self:
        if self.unknown_tokens > self.tokens:
            raise ValueError("there are more unknown tokens than tokens")
        return self


class CategoryRecord(Record):
    """Rows by category."""

    kind: Literal["category"] = "category"
    counts: dict[str, Count]


class SignalRecords(Record):
    """The four signals over the same rows."""

    input_tokens: NumberRecord
    confidence: NumberRecord
    unknown_token_rate: RatioRecord
    label: CategoryRecord

    @classmethod
    def of(cls, observations: Observations) -> Self:
        """What is kept of observations that have rows."""
        return cls(
            input_tokens=NumberRecord.of(observations.input_tokens),
            confidence=NumberRecord.of(observations.confidence),
            unknown_token_rate=RatioRecord.of(observations.unknown_token_rate),
            label=CategoryRecord(counts=observations.labels),
        )

    def observations(self) -> Observations:
        """Gives them back.

        Raises:
            ValueError: a sketch is broken.
        """
        return Observations(
            self.input_tokens.distribution(),
            self.confidence.distribution(),
            self.unknown_token_rate.sums(),
            dict(self.label.counts),
        )

    @model_validator(mode="after")
    def _all_count_the_same_rows(self) -> Self:
        counted = sum(self.label.counts.values())
        if {self.confidence.rows, self.unknown_token_rate.rows, counted} != {
            self.input_tokens.rows
        }:
            raise ValueError("the signals count different rows")
        return self
