"""What drift speaks about: model versions, what happened to them, comparisons, and errors."""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from servicekit.errors import Conflict, InvalidInput, NotFound, Unavailable

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, order=True)
class ModelVersion:
    """One version of one model."""

    model: str
    version: str

    def __str__(self) -> str:
        return f"{self.model}/{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class Population:
    """Whose predictions: those of a model version, of all tenants together or of one."""

    about: ModelVersion
    tenant: str = ""
    """Empty: all together."""

    def __str__(self) -> str:
        return f"{self.about}/{self.tenant}" if self.tenant else str(self.about)


def is_name(text: str) -> bool:
    """Whether a model or a version may be called that; names are also names of directories."""
    return (
        0 < len(text) <= _LONGEST_NAME
        and text.isprintable()
        and not text.startswith(".")
        and not {"/", "\\"} & set(text)
    )


@dataclass(frozen=True, slots=True)
class Projection:
    """The pooled hidden state of a text; a dimension is `value * scale`."""

    values: bytes
    """One int8 for each dimension."""
    scale: float


@dataclass(frozen=True, slots=True)
class PredictionFacts:
    """What is watched of a prediction; what its model does not have is empty."""

    about: ModelVersion
    predicted_at: datetime
    input_tokens: int = 0
    """Special tokens included, after truncation; 0 for what is no text."""
    text_tokens: int = 0
    """Without the special tokens."""
    unknown_tokens: int = 0
    """Among the text tokens."""
    label: str = ""
    confidence: float = 0.0
    prediction_id: str = ""
    tenant: str = ""
    input_sha256: bytes = b""
    letters: Mapping[str, int] = field(default_factory=dict)
    """By script."""
    probabilities: tuple[float, ...] = ()
    milliseconds: float | None = None
    """In the model; None where it was not run."""
    projection: Projection | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    """Those of a table that are watched; NaN where one is missing."""
    out_of_range: Set[str] = frozenset()
    """Features outside of the range that the package states."""
    predicted_values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedbackFacts:
    """What is counted of a feedback that names the correct label."""

    about: ModelVersion
    agreed: bool
    confidence: float = math.nan
    """Of the prediction; NaN where it is not known."""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % confidence interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """A distribution of numbers in a few of them; all 0 without rows."""

    rows: int = 0
    mean: float = 0.0
    standard_deviation: float = 0.0
    minimum: float = 0.0
    maximum: float = 0.0
    quantiles: tuple[float, ...] = (0.0,) * 5
    """At 5, 25, 50, 75 and 95 %."""


@dataclass(frozen=True, slots=True)
class NumberComparison:
    """Two distributions of a number; the statistics are None without enough data."""

    reference: NumberSummary
    window: NumberSummary
    ks_distance: float | None = None
    mean_difference: Estimate | None = None


@dataclass(frozen=True, slots=True)
class RatioSummary:
    """A ratio of two sums over rows."""

    rows: int
    numerator: float
    denominator: float


@dataclass(frozen=True, slots=True)
class RatioComparison:
    """Two ratios; the difference is None without enough data."""

    reference: RatioSummary
    window: RatioSummary
    difference: Estimate | None = None


@dataclass(frozen=True, slots=True)
class CategoryComparison:
    """Two counts by category; without enough data there are no statistics."""

    reference: Mapping[str, int]
    window: Mapping[str, int]
    total_variation: float | None = None
    share_differences: Mapping[str, Estimate] | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is watched, in the reference and in the window."""

    name: str
    comparison: NumberComparison | RatioComparison | CategoryComparison
    measured: bool

    def statistics(self) -> Mapping[str, float]:
        """The differences as plain numbers, by name; empty without enough data."""
        found: dict[str, float | None]
        match self.comparison:
            case NumberComparison(ks_distance=ks, mean_difference=mean):
                found = {"ks_distance": ks, "mean_difference": mean.value if mean else None}
            case RatioComparison(difference=difference):
                found = {"ratio_difference": difference.value if difference else None}
            case CategoryComparison(total_variation=distance):
                found = {"total_variation": distance}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """Which predictions a report is about."""

    first_predicted_at: datetime | None
    last_predicted_at: datetime | None
    rows: int
    capacity: int


@dataclass(frozen=True, slots=True)
class FeedbackSummary:
    """Feedback since counting began; no accuracy without any. Who answers is self-selected."""

    labelled: int
    accuracy: Estimate | None


class NameInvalid(InvalidInput):
    """The request names no model, or something that cannot be a name."""

    reason = "MODEL_NAME_INVALID"


class ModelUnknown(NotFound):
    """Nothing was predicted with it, and it has no reference either."""

    reason = "MODEL_UNKNOWN"


class ReferenceMissing(NotFound):
    """Predictions came, but the package has no reference to compare them with."""

    reason = "REFERENCE_MISSING"


class ReferenceInvalid(Unavailable):
    """The reference cannot be used. Once its file is mended the next request sees it."""

    reason = "REFERENCE_INVALID"


class TenantUnwatched(NotFound):
    """The tenant has no windows of its own."""

    reason = "TENANT_NOT_WATCHED"


class StateUnavailable(Unavailable):
    """The events Redis, which holds the windows, is away."""

    reason = "STATE_UNAVAILABLE"


class IncidentUnknown(NotFound):
    """There is no such incident, or it is another tenant's."""

    reason = "INCIDENT_NOT_FOUND"


class IncidentClosed(Conflict):
    """It is over: there is nothing to acknowledge or to silence."""

    reason = "INCIDENT_CLOSED"


class CursorInvalid(InvalidInput):
    """A page gave no such cursor."""

    reason = "CURSOR_INVALID"


class TimeInvalid(InvalidInput):
    """A time is missing or makes no sense."""

    reason = "TIME_INVALID"
