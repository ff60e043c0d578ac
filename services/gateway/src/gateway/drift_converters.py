"""From the drift contract to what REST answers."""

import math
from datetime import UTC, datetime
from typing import Any, Literal

from google.protobuf.message import Message

from gateway.drift_answers import (
    CategoryComparison,
    DriftReport,
    Estimate,
    FeedbackSummary,
    Impact,
    KeptReports,
    NumberComparison,
    NumberSummary,
    PowerPlan,
    RatioComparison,
    RatioSummary,
    Recommendation,
    Reference,
    ReportSummary,
    Shape,
    Signal,
    SignalPower,
    Slice,
    Verdict,
    VerdictState,
    Window,
)
from weir.drift.v1 import drift_pb2 as pb

_NUMBERS = (
    "mean",
    "standard_deviation",
    "minimum",
    "maximum",
    "p05",
    "p25",
    "p50",
    "p75",
    "p95",
)
_STATES: dict[int, VerdictState] = {
    pb.VERDICT_STATE_NO_DRIFT: "no_drift",
    pb.VERDICT_STATE_DRIFT: "drift",
    pb.VERDICT_STATE_NOT_ENOUGH_DATA: "not_enough_data",
    pb.VERDICT_STATE_CONSTANT: "constant",
    pb.VERDICT_STATE_REFERENCE_MISSING: "reference_missing",
    pb.VERDICT_STATE_REFERENCE_MISMATCH: "reference_mismatch",
}
_ACTIONS: dict[int, Literal["none", "wait", "investigate", "retrain"]] = {
    pb.RECOMMENDED_ACTION_NONE: "none",
    pb.RECOMMENDED_ACTION_WAIT: "wait",
    pb.RECOMMENDED_ACTION_INVESTIGATE: "investigate",
    pb.RECOMMENDED_ACTION_RETRAIN: "retrain",
}


def to_report(message: pb.Report) -> DriftReport:
    """A report as REST answers it."""
    return DriftReport(
        model=message.model,
        model_version=message.model_version,
        generated_at=message.generated_at.ToDatetime(UTC),
        reference=Reference(
            source=message.reference.source,
            rows=message.reference.rows,
            reference_id=message.reference.reference_id or None,
        ),
        window=Window(
            first_predicted_at=_moment(message.window, "first_predicted_at"),
            last_predicted_at=_moment(message.window, "last_predicted_at"),
            rows=message.window.rows,
            capacity=message.window.capacity,
        ),
        signals=[_signal(signal) for signal in message.signals],
        feedback=FeedbackSummary(
            labelled=message.feedback.labelled,
            accuracy=_given(message.feedback, "accuracy"),
            accuracy_lower=_given(message.feedback, "accuracy_lower"),
            accuracy_upper=_given(message.feedback, "accuracy_upper"),
        ),
        verdicts=[_verdict(verdict) for verdict in message.verdicts],
        impact=_impact(message.impact) if message.HasField("impact") else None,
        tenant=message.tenant or None,
        report_id=message.report_id or None,
        recommendation=Recommendation(
            action=_ACTIONS.get(message.recommendation.action, "investigate"),
            reasons=list(message.recommendation.reasons),
        ),
        slices=[
            Slice(
                signal=part.signal,
                rows=part.rows,
                reference_share=part.reference_share,
                window_share=part.window_share,
            )
            for part in message.slices
        ],
        shapes=[
            Shape(
                signal=shape.signal,
                edges=list(shape.edges),
                names=list(shape.names),
                reference=list(shape.reference),
                window=list(shape.window),
            )
            for shape in message.shapes
        ],
    )


def _verdict(message: pb.Verdict) -> Verdict:
    return Verdict(
        signal=message.signal,
        group=message.group,
        state=_STATES.get(message.state, "not_enough_data"),
        effect=_estimate(message, "effect"),
        p_value=_given(message, "p_value"),
        minimum_detectable_effect=_given(message, "minimum_detectable_effect"),
        rows=message.rows,
        reference_rows=message.reference_rows,
        since=_moment(message, "since"),
        windows=message.windows,
    )


def _impact(message: pb.Impact) -> Impact:
    accuracy = message.accuracy
    return Impact(
        accuracy=Estimate(value=accuracy.value, lower=accuracy.lower, upper=accuracy.upper),
        reference_accuracy=message.reference_accuracy,
        expected_loss=message.expected_loss,
        recalibrated=message.recalibrated,
    )


def _signal(message: pb.Signal) -> Signal:
    measured = message.status == pb.SIGNAL_STATUS_MEASURED
    kind = message.WhichOneof("comparison")
    return Signal(
        name=message.name,
        status="measured" if measured else "not_enough_data",
        number=_number(message.number) if kind == "number" else None,
        ratio=_ratio(message.ratio) if kind == "ratio" else None,
        category=_category(message.category) if kind == "category" else None,
    )


def _number(message: pb.NumberComparison) -> NumberComparison:
    return NumberComparison(
        reference=_number_summary(message.reference),
        window=_number_summary(message.window),
        ks_distance=_given(message, "ks_distance"),
        mean_difference=_estimate(message, "mean_difference"),
    )


def _number_summary(message: pb.NumberSummary) -> NumberSummary:
    # Without rows the numbers mean nothing; NaN and infinity are no JSON.
    values = {name: _finite(getattr(message, name)) if message.rows else None for name in _NUMBERS}
    return NumberSummary(rows=message.rows, **values)


def _ratio(message: pb.RatioComparison) -> RatioComparison:
    return RatioComparison(
        reference=_ratio_summary(message.reference),
        window=_ratio_summary(message.window),
        difference=_estimate(message, "difference"),
    )


def _ratio_summary(message: pb.RatioSummary) -> RatioSummary:
    return RatioSummary(
        rows=message.rows, numerator=message.numerator, denominator=message.denominator
    )


def _category(message: pb.CategoryComparison) -> CategoryComparison:
    return CategoryComparison(
        reference=dict(message.reference),
        window=dict(message.window),
        total_variation=_given(message, "total_variation"),
        share_differences={
            category: Estimate(value=share.value, lower=share.lower, upper=share.upper)
            for category, share in message.share_differences.items()
        },
    )


def _estimate(message: Message, name: str) -> Estimate | None:
    found: Any = _given(message, name)
    if found is None:
        return None
    return Estimate(value=found.value, lower=found.lower, upper=found.upper)


def _moment(message: Message, name: str) -> datetime | None:
    found: Any = _given(message, name)
    return found.ToDatetime(UTC) if found is not None else None


def to_reports(message: pb.ListReportsResponse) -> KeptReports:
    """The windows that are kept."""
    return KeptReports(
        model=message.model,
        model_version=message.model_version,
        reports=[
            ReportSummary(
                report_id=each.report_id,
                first_predicted_at=each.first_predicted_at.ToDatetime(UTC),
                last_predicted_at=each.last_predicted_at.ToDatetime(UTC),
                rows=each.rows,
                drifted=list(each.drifted),
                judged=each.judged,
                reference_id=each.reference_id or None,
                fault=each.fault or None,
            )
            for each in message.reports
        ],
    )


def to_plan(message: pb.GetPowerResponse) -> PowerPlan:
    """What windows would show."""
    return PowerPlan(
        model=message.model,
        model_version=message.model_version,
        reference_id=message.reference_id,
        signals=[
            SignalPower(
                signal=each.signal,
                group=each.group,
                kind=each.kind,
                power=_given(each, "power"),
                minimum_detectable_effect=_given(each, "minimum_detectable_effect"),
                rows_for_80=_given(each, "rows_for_80"),
                rows_for_95=_given(each, "rows_for_95"),
            )
            for each in message.signals
        ],
    )


def _given(message: Message, name: str) -> Any:
    """The value of a field that knows whether it was set; None when it was not."""
    return getattr(message, name) if message.HasField(name) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
