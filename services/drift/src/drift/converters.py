"""From the domain to the drift contract."""

from datetime import UTC

from drift.domain import (
    CategoryComparison,
    Estimate,
    FeedbackSummary,
    NumberComparison,
    NumberSummary,
    RatioComparison,
    RatioSummary,
    Signal,
    WindowSpan,
)
from drift.impact import Impact
from drift.range_comparison import RangeInvalid, TimeRange
from drift.recommendation import Action
from drift.rendering import Format, FormatUnknown, Rendered
from drift.report import Onset, Report
from drift.signal_power import SignalPower
from drift.verdict import State, Verdict
from drift.window_history import WindowSummary
from weir.drift.v1 import drift_pb2 as pb

_STATES = {
    State.NO_DRIFT: pb.VERDICT_STATE_NO_DRIFT,
    State.DRIFT: pb.VERDICT_STATE_DRIFT,
    State.NOT_ENOUGH_DATA: pb.VERDICT_STATE_NOT_ENOUGH_DATA,
    State.CONSTANT: pb.VERDICT_STATE_CONSTANT,
    State.REFERENCE_MISSING: pb.VERDICT_STATE_REFERENCE_MISSING,
    State.REFERENCE_MISMATCH: pb.VERDICT_STATE_REFERENCE_MISMATCH,
}

_ACTIONS = {
    Action.NONE: pb.RECOMMENDED_ACTION_NONE,
    Action.WAIT: pb.RECOMMENDED_ACTION_WAIT,
    Action.INVESTIGATE: pb.RECOMMENDED_ACTION_INVESTIGATE,
    Action.RETRAIN: pb.RECOMMENDED_ACTION_RETRAIN,
}

_FORMATS = {
    pb.REPORT_FORMAT_HTML: Format.HTML,
    pb.REPORT_FORMAT_MARKDOWN: Format.MARKDOWN,
}


def from_report(report: Report) -> pb.Report:
    """A report as the contract has it."""
    answer = pb.Report(
        model=report.about.model,
        model_version=report.about.version,
        reference=pb.Reference(
            source=report.reference_source,
            rows=report.reference_rows,
            reference_id=report.reference_id,
        ),
        window=_from_span(report.window),
        signals=map(_from_signal, report.signals),
        feedback=_from_feedback(report.feedback),
        verdicts=[
            _from_verdict(verdict, report.onsets.get(verdict.signal.name))
            for verdict in report.verdicts
        ],
        impact=_from_impact(report.impact),
        report_id=report.report_id,
        tenant=report.tenant,
        recommendation=pb.Recommendation(
            action=_ACTIONS[report.recommendation.action],
            reasons=report.recommendation.reasons,
        ),
        slices=[
            pb.Slice(
                signal=part.signal,
                rows=part.rows,
                reference_share=part.reference_share,
                window_share=part.window_share,
            )
            for part in report.slices
        ],
        shapes=[
            pb.Shape(
                signal=signal,
                edges=shape.edges,
                names=shape.names,
                reference=shape.reference,
                window=shape.window,
            )
            for signal, shape in sorted(report.shapes.items())
        ],
    )
    answer.generated_at.FromDatetime(report.generated_at)
    return answer


def _from_span(span: WindowSpan) -> pb.Window:
    window = pb.Window(rows=span.rows, capacity=span.capacity)
    if span.first_predicted_at is not None:
        window.first_predicted_at.FromDatetime(span.first_predicted_at)
    if span.last_predicted_at is not None:
        window.last_predicted_at.FromDatetime(span.last_predicted_at)
    return window


def _from_signal(signal: Signal) -> pb.Signal:
    status = pb.SIGNAL_STATUS_MEASURED if signal.measured else pb.SIGNAL_STATUS_NOT_ENOUGH_DATA
    answer = pb.Signal(name=signal.name, status=status)
    match signal.comparison:
        case NumberComparison() as number:
            answer.number.CopyFrom(_from_number(number))
        case RatioComparison() as ratio:
            answer.ratio.CopyFrom(_from_ratio(ratio))
        case CategoryComparison() as category:
            answer.category.CopyFrom(_from_category(category))
    return answer


def _from_number(comparison: NumberComparison) -> pb.NumberComparison:
    return pb.NumberComparison(
        reference=_from_number_summary(comparison.reference),
        window=_from_number_summary(comparison.window),
        ks_distance=comparison.ks_distance,
        mean_difference=_from_estimate(comparison.mean_difference),
    )


def _from_number_summary(summary: NumberSummary) -> pb.NumberSummary:
    p05, p25, p50, p75, p95 = summary.quantiles
    return pb.NumberSummary(
        rows=summary.rows,
        mean=summary.mean,
        standard_deviation=summary.standard_deviation,
        minimum=summary.minimum,
        maximum=summary.maximum,
        p05=p05,
        p25=p25,
        p50=p50,
        p75=p75,
        p95=p95,
    )


def _from_ratio(comparison: RatioComparison) -> pb.RatioComparison:
    return pb.RatioComparison(
        reference=_from_ratio_summary(comparison.reference),
        window=_from_ratio_summary(comparison.window),
        difference=_from_estimate(comparison.difference),
    )


def _from_ratio_summary(summary: RatioSummary) -> pb.RatioSummary:
    return pb.RatioSummary(
        rows=summary.rows, numerator=summary.numerator, denominator=summary.denominator
    )


def _from_category(comparison: CategoryComparison) -> pb.CategoryComparison:
    differences = comparison.share_differences or {}
    return pb.CategoryComparison(
        reference=comparison.reference,
        window=comparison.window,
        total_variation=comparison.total_variation,
        share_differences={
            category: _from_present(difference) for category, difference in differences.items()
        },
    )


def _from_estimate(estimate: Estimate | None) -> pb.Estimate | None:
    return None if estimate is None else _from_present(estimate)


def _from_present(estimate: Estimate) -> pb.Estimate:
    return pb.Estimate(value=estimate.value, lower=estimate.lower, upper=estimate.upper)


def _from_feedback(feedback: FeedbackSummary) -> pb.FeedbackSummary:
    answer = pb.FeedbackSummary(labelled=feedback.labelled)
    if feedback.accuracy is not None:
        answer.accuracy = feedback.accuracy.value
        answer.accuracy_lower = feedback.accuracy.lower
        answer.accuracy_upper = feedback.accuracy.upper
    return answer


def _from_verdict(verdict: Verdict, onset: Onset | None) -> pb.Verdict:
    answer = pb.Verdict(
        signal=verdict.signal.name,
        group=verdict.signal.group,
        state=_STATES[verdict.state],
        rows=verdict.rows,
        reference_rows=verdict.reference_rows,
    )
    if verdict.finding is not None:
        answer.effect.CopyFrom(_from_present(verdict.finding.effect))
        answer.p_value = verdict.finding.p_value
        answer.minimum_detectable_effect = verdict.finding.detectable
    if onset is not None:
        answer.since.FromDatetime(onset.since)
        answer.windows = onset.windows
    return answer


def _from_impact(impact: Impact | None) -> pb.Impact | None:
    if impact is None:
        return None
    return pb.Impact(
        accuracy=_from_present(impact.accuracy),
        reference_accuracy=impact.reference_accuracy,
        expected_loss=impact.expected_loss,
        recalibrated=impact.recalibrated,
    )


def to_format(wanted: pb.ReportFormat) -> Format:
    """The format that a request names.

    Raises:
        FormatUnknown: it names none.
    """
    if wanted not in _FORMATS:
        raise FormatUnknown("The request names no format of a report.")
    return _FORMATS[wanted]


def to_range(message: pb.TimeRange) -> TimeRange:
    """A range of time; what is absent reads as the epoch, which makes it none.

    Raises:
        RangeInvalid: its times are none.
    """
    try:
        return TimeRange(*(getattr(message, end).ToDatetime(UTC) for end in ("from", "to")))
    except (ValueError, OverflowError):
        raise RangeInvalid("A time of the ranges is none.") from None


def from_summary(summary: WindowSummary) -> pb.ReportSummary:
    """A window that is kept."""
    answer = pb.ReportSummary(
        report_id=summary.window_id,
        rows=summary.rows,
        drifted=summary.drifted,
        judged=summary.judged,
        reference_id=summary.reference_id,
        fault=summary.fault,
    )
    answer.first_predicted_at.FromDatetime(summary.first_predicted_at)
    answer.last_predicted_at.FromDatetime(summary.last_predicted_at)
    return answer


def from_power(planned: SignalPower) -> pb.SignalPower:
    """What windows would show of a signal."""
    return pb.SignalPower(
        signal=planned.signal.name,
        group=planned.signal.group,
        kind=planned.signal.kind,
        power=planned.power,
        minimum_detectable_effect=planned.detectable,
        rows_for_80=planned.rows_for_80,
        rows_for_95=planned.rows_for_95,
    )


def from_rendered(rendered: Rendered) -> pb.RenderedReport:
    """A rendered report as the contract has it."""
    return pb.RenderedReport(
        content=rendered.content, style_sha256=rendered.style_sha256, digest=rendered.digest
    )
