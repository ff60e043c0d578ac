"""A report as CommonMark with tables, for chats, tickets and mail."""

import re
from collections.abc import Iterable, Sequence

from drift.report import Report
from drift.report_table import TableRow, headline, table_rows
from drift.report_words import count, moment, percent, plain, points
from drift.verdict import State

_MEANINGFUL = re.compile(r"([\\`*_\[\]<>|&~:@#!$]|(?<=www)\.|^[-+=]|(?<=^\d)[.)])", re.IGNORECASE)


def markdown_report(report: Report) -> str:
    """The text. Names from outside are escaped, so that they are words and nothing else."""
    rows = table_rows(report)
    parts = [
        f"# Drift of {_words(report.about.model)}, version {_words(report.about.version)}",
        f"**{headline(report)}.** Recommended: **{report.recommendation.action}**.",
        "\n".join(f"- {_words(reason)}" for reason in report.recommendation.reasons),
        _about(report),
        "## What it costs",
        _cost(report),
    ]
    drifted = [row for row in rows if row.state is State.DRIFT]
    if drifted:
        parts += ["## What changed", _changes(drifted)]
    if report.slices:
        parts += ["## Which rows became more or fewer", _slices(report)]
    parts += ["## Everything that was looked at", _everything(rows)]
    name = f", report {report.report_id}" if report.report_id else ""
    parts.append(f"Made {moment(report.generated_at)}{name}.")
    return "\n\n".join(parts) + "\n"


def _about(report: Report) -> str:
    window, feedback = report.window, report.feedback
    lines = [f"- Predictions of: tenant {_words(report.tenant)} alone"] if report.tenant else []
    lines += [
        f"- Window: {moment(window.first_predicted_at)} – {moment(window.last_predicted_at)}, "
        f"{count(window.rows)} predictions",
        f"- Compared with: {_words(report.reference_source)}, {count(report.reference_rows)} rows"
        f"{_reference(report)}",
    ]
    if feedback.accuracy:
        lines.append(
            f"- Accuracy by feedback so far: {percent(feedback.accuracy.value)} "
            f"({percent(feedback.accuracy.lower)} to {percent(feedback.accuracy.upper)}) "
            f"of {count(feedback.labelled)}"
        )
    return "\n".join(lines)


def _reference(report: Report) -> str:
    return f" (reference {_words(report.reference_id)})" if report.reference_id else ""


def _cost(report: Report) -> str:
    impact = report.impact
    if impact is None:
        return "Not known: not enough data, or the reference was never told what was right."
    accuracy = impact.accuracy
    return (
        f"{percent(accuracy.value)} of the answers are estimated to be right (95 % interval "
        f"{percent(accuracy.lower)} to {percent(accuracy.upper)}); of the reference's "
        f"{percent(impact.reference_accuracy)} were. Expected loss: "
        f"{points(impact.expected_loss)} points."
    )


def _changes(drifted: Sequence[TableRow]) -> str:
    return _table(
        ("Signal", "Since", "Windows in a row", "Effect", "95 % interval", "p"),
        (
            (
                _words(row.name),
                row.since,
                str(row.windows),
                f"{row.effect} {row.unit}",
                row.interval,
                row.p,
            )
            for row in drifted
        ),
    )


def _slices(report: Report) -> str:
    return _table(
        ("Signal", "Rows", "Reference", "Window", "Change, points"),
        (
            (
                _words(part.signal),
                _words(part.rows),
                percent(part.reference_share),
                percent(part.window_share),
                points(part.change),
            )
            for part in report.slices
        ),
    )


def _everything(rows: Sequence[TableRow]) -> str:
    return _table(
        ("Signal", "State", "Effect", "95 % interval", "p", "Detectable", "Rows", "Reference rows"),
        (
            (
                _words(row.name),
                row.state,
                row.effect,
                row.interval,
                row.p,
                row.detectable,
                row.rows,
                row.reference_rows,
            )
            for row in rows
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _words(text: str) -> str:
    """A text from outside: what means something in Markdown, links included, is escaped."""
    return _MEANINGFUL.sub(r"\\\1", plain(text))
