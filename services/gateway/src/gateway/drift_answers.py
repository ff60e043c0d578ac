"""What the drift watch tells: value types that are answers, too."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

SignalStatus = Literal["measured", "not_enough_data"]
VerdictState = Literal[
    "no_drift",
    "drift",
    "not_enough_data",
    "constant",
    "reference_missing",
    "reference_mismatch",
]


class Estimate(BaseModel):
    """A value with its 95 % confidence interval."""

    value: float
    lower: float
    upper: float


class NumberSummary(BaseModel):
    """The distribution of a number; all null when there are no rows."""

    rows: int
    mean: float | None
    standard_deviation: float | None
    minimum: float | None
    maximum: float | None
    p05: float | None
    p25: float | None
    p50: float | None
    p75: float | None
    p95: float | None


class NumberComparison(BaseModel):
    """A number now, against the reference."""

    reference: NumberSummary
    window: NumberSummary
    ks_distance: float | None = Field(
        description="Largest gap between the cumulative distributions, 0 to 1."
    )
    mean_difference: Estimate | None = Field(description="Window minus reference.")


class RatioSummary(BaseModel):
    """A ratio of sums."""

    rows: int
    numerator: float
    denominator: float


class RatioComparison(BaseModel):
    """A ratio now, against the reference."""

    reference: RatioSummary
    window: RatioSummary
    difference: Estimate | None = Field(description="Window minus reference.")


class CategoryComparison(BaseModel):
    """Categories now, against the reference; rows by category."""

    reference: dict[str, int]
    window: dict[str, int]
    total_variation: float | None = Field(
        description="Half the sum of the shares' absolute differences, 0 to 1."
    )
    share_differences: dict[str, Estimate] = Field(description="Window minus reference.")


class Signal(BaseModel):
    """Something that is watched; one of the three comparisons is there."""

    name: str = Field(examples=["input_tokens"])
    status: SignalStatus
    number: NumberComparison | None
    ratio: RatioComparison | None
    category: CategoryComparison | None


class Reference(BaseModel):
    """What the window is compared with."""

    source: str
    rows: int
    reference_id: str | None = Field(
        description="`package`, or the id of a promoted one; null for a range of time.",
        examples=["package"],
    )


class Window(BaseModel):
    """The newest predictions."""

    first_predicted_at: datetime | None
    last_predicted_at: datetime | None
    rows: int
    capacity: int = Field(description="Rows at which it closes and the next one begins.")


class FeedbackSummary(BaseModel):
    """Feedback on the model version, with a 95 % confidence interval."""

    labelled: int
    accuracy: float | None
    accuracy_lower: float | None
    accuracy_upper: float | None


class Verdict(BaseModel):
    """What is concluded about a signal; without a test there is only a state."""

    signal: str = Field(examples=["input_tokens"])
    group: str = Field(examples=["text"])
    state: VerdictState
    effect: Estimate | None = Field(
        description="Numbers: Wasserstein distance in standard deviations of the reference. "
        "Categories: total variation. Ratios: their difference. Projection: how much better than "
        "chance window and reference are told apart, from 0 to 1."
    )
    p_value: float | None = Field(description="Chance of as much without drift.")
    minimum_detectable_effect: float | None = Field(
        description="Effect that a window of this size shows nine times of ten."
    )
    rows: int
    reference_rows: int
    since: datetime | None = Field(
        description="Of drift: the first prediction of the windows in a row that drifted, as far "
        "back as windows are kept."
    )
    windows: int = Field(description="How many windows that are; 0 without drift.")


class Impact(BaseModel):
    """What drift costs: the accuracy of the window's answers, estimated without their labels."""

    accuracy: Estimate
    reference_accuracy: float
    expected_loss: float = Field(description="Accuracy that is lost; below 0 if some was won.")
    recalibrated: bool = Field(
        description="Whether more than the confidences was asked: what kinds of rows they are of."
    )


class Recommendation(BaseModel):
    """What to do next, and why."""

    action: Literal["none", "wait", "investigate", "retrain"]
    reasons: list[str]


class Slice(BaseModel):
    """Rows that became more or fewer."""

    signal: str = Field(examples=["input_tokens"])
    rows: str = Field(
        examples=["above 42, up to 60"], description="A category, or an interval of a number."
    )
    reference_share: float
    window_share: float


class Shape(BaseModel):
    """What a signal looks like on both sides: shares of rows by interval or by category."""

    signal: str = Field(examples=["input_tokens"])
    edges: list[float] = Field(
        description="Of the intervals, one more than shares; none for categories."
    )
    names: list[str] = Field(description="Of the categories; none for numbers.")
    reference: list[float]
    window: list[float]


class DriftReport(BaseModel):
    """What the model sees and says now, against the reference in force."""

    model: str
    model_version: str
    generated_at: datetime
    reference: Reference
    window: Window
    signals: list[Signal]
    feedback: FeedbackSummary
    verdicts: list[Verdict]
    impact: Impact | None = Field(
        description="Null where the reference does not know how often the model was right."
    )
    tenant: str | None = Field(
        description="Whose predictions the window holds alone; null for those of all tenants."
    )
    report_id: str | None = Field(description="Of a closed window; null for one that is open.")
    recommendation: Recommendation
    slices: list[Slice] = Field(
        description="Of signals that drifted: which rows became more or fewer, largest changes "
        "first."
    )
    shapes: list[Shape] = Field(
        description="What reports draw: each signal on both sides, vectors aside."
    )


class ReportSummary(BaseModel):
    """A closed window whose report is kept."""

    report_id: str = Field(examples=["0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a11"])
    first_predicted_at: datetime
    last_predicted_at: datetime
    rows: int
    drifted: list[str] = Field(
        examples=[["input_tokens"]], description="Signals that had drifted when it closed."
    )
    judged: bool = Field(
        description="Whether there was a reference when it closed, and comparing did not fail."
    )
    reference_id: str | None = Field(
        description="The reference in force then: `package`, or the id of a promoted one.",
        examples=["package"],
    )
    fault: str | None = Field(
        description="The type of the error where the window could not be judged. It opens no "
        "incident and becomes no reference.",
        examples=["ValueError"],
    )


class KeptReports(BaseModel):
    """The closed windows of a model version that are kept, newest first."""

    model: str
    model_version: str
    reports: list[ReportSummary]


class SignalPower(BaseModel):
    """What windows of a size would show of a signal."""

    signal: str = Field(examples=["input_tokens"])
    group: str = Field(examples=["text"])
    kind: str = Field(examples=["number"])
    power: float | None = Field(
        description="Chance that the effect is called drift if nothing else changed; null where "
        "the reference cannot say."
    )
    minimum_detectable_effect: float | None = Field(description="Found nine times of ten.")
    rows_for_80: int | None = Field(
        description="Predictions that find the effect 8 times of 10; null where no window does."
    )
    rows_for_95: int | None = Field(description="The same for 19 times of 20.")


class PowerPlan(BaseModel):
    """What windows of a size would show of each signal."""

    model: str
    model_version: str
    reference_id: str = Field(description="The reference that it was planned for.")
    signals: list[SignalPower]
