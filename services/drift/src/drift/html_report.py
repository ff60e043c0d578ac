"""A report as one page that needs nothing else: no script, no font, no picture from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from drift import report_pictures, report_words
from drift.report import Report
from drift.report_table import headline, is_tested, table_rows
from drift.report_words import moment, percent, plain, points
from drift.verdict import State

_MOST_FIGURES = 100
_CLASSES = {State.DRIFT: "drift", State.NO_DRIFT: "none", State.CONSTANT: "none"}


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    state: State
    curves: report_pictures.Curves | None
    bars: report_pictures.Bars | None


def html_report(report: Report) -> str:
    """The page: at most 500 KB with 100 signals."""
    rows = table_rows(report)
    tested = sum(is_tested(verdict) for verdict in report.verdicts)
    drifted = [row for row in rows if row.state is State.DRIFT]
    return _template().render(
        report=report,
        model=plain(report.about.model),
        version=plain(report.about.version),
        tenant=plain(report.tenant),
        source=plain(report.reference_source),
        window_start=moment(report.window.first_predicted_at),
        window_end=moment(report.window.last_predicted_at),
        made=moment(report.generated_at),
        headline=headline(report),
        banner_class="drift" if drifted else "none" if tested else "unsure",
        reasons=[plain(reason) for reason in report.recommendation.reasons],
        scale=report_pictures.accuracy_scale(report.impact) if report.impact else None,
        enough=tested > 0,
        tested=tested,
        drifted=drifted,
        rows=rows,
        slices=_slices(report),
        figures=_figures(report),
        style=_style(),
    )


@cache
def style_sha256() -> str:
    """Of the page's style sheet, base64, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()


@cache
def template_digest() -> str:
    """Changes when pages of the same report look otherwise."""
    return hashlib.sha256((_text("report.html") + _style()).encode()).hexdigest()


def _slices(report: Report) -> list[Mapping[str, str]]:
    return [
        {
            "signal": plain(part.signal),
            "rows": plain(part.rows),
            "reference": percent(part.reference_share),
            "window": percent(part.window_share),
            "change": points(part.change),
        }
        for part in report.slices
    ]


def _figures(report: Report) -> list[_Figure]:
    found = []
    for verdict in report_words.in_order(report.verdicts):
        shape = report.shapes.get(verdict.signal.name)
        if shape is None:
            continue
        found.append(
            _Figure(
                plain(verdict.signal.name),
                verdict.state,
                report_pictures.curves(shape) if shape.edges else None,
                report_pictures.bars(shape) if shape.names else None,
            )
        )
    return found[:_MOST_FIGURES]


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    words: dict[str, Any] = {
        "count": report_words.count,
        "percent": percent,
        "points": points,
        "state_class": lambda state: _CLASSES.get(state, "unsure"),
    }
    environment.globals.update(words)
    return environment.from_string(_text("report.html"))


@cache
def _style() -> str:
    return _text("report.css")


def _text(name: str) -> str:
    return (files("drift") / "templates" / name).read_text(encoding="utf-8")
