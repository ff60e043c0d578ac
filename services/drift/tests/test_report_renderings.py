"""What a report says beside its verdicts, and the text that it can be read as."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from drift.domain import Estimate, ModelVersion
from drift.impact import Impact
from drift.markdown_report import markdown_report
from drift.recommendation import Action, recommend
from drift.rendering import Format, render
from drift.report import Onset, Report
from drift.signals import ACCURACY, LATENCY, CategoryColumn, RatioColumn, feature

from .reports import KIND, NOW, observed, reference, report


def recommended(of: Report, lost: Estimate | None = None, windows: int = 1) -> Action:
    impact = None
    if lost is not None:
        accuracy = Estimate(0.9 - lost.value, 0.9 - lost.upper, 0.9 - lost.lower)
        impact = Impact(accuracy, 0.9, recalibrated=True)
    lasting = {verdict.signal.name: windows for verdict in of.verdicts}
    return recommend(of.verdicts, impact, lasting).action


@pytest.mark.parametrize(
    ("lost", "windows", "action"),
    [
        (Estimate(0.1, 0.06, 0.14), 5, Action.RETRAIN),
        (Estimate(0.1, 0.06, 0.14), 1, Action.INVESTIGATE),
        (Estimate(0.1, -0.02, 0.2), 5, Action.INVESTIGATE),
        (Estimate(0.02, 0.0, 0.04), 5, Action.INVESTIGATE),
        (Estimate(0.0, -0.03, 0.03), 1, Action.WAIT),
        (Estimate(0.0, -0.005, 0.005), 9, Action.WAIT),
        (None, 9, Action.INVESTIGATE),
    ],
)
def test_action_follows_what_drift_costs_and_how_long_it_lasts(
    lost: Estimate | None, windows: int, action: Action
) -> None:
    assert recommended(report(shift=0.5), lost, windows) is action


def test_no_drift_asks_for_nothing_and_no_data_for_patience() -> None:
    assert recommended(report()) is Action.NONE
    assert recommended(report(rows=5)) is Action.WAIT


def test_feedback_that_drifted_needs_no_estimate() -> None:
    def right(rows: int, of: int) -> RatioColumn:
        return RatioColumn((np.arange(of) < rows) * 1.0, np.ones(of))

    known = reference(window=observed(5000, {ACCURACY: right(4500, 5000)}))
    worse = report(of={ACCURACY: right(600, 1000)}, against=known)
    assert recommended(worse, windows=1) is Action.INVESTIGATE
    assert recommended(worse, windows=3) is Action.RETRAIN


def test_slower_service_is_not_to_be_retrained() -> None:
    random = np.random.default_rng(1)
    known = reference(window=observed(5000, {LATENCY: random.gamma(3, 1, 5000)}))
    slower = report(of={LATENCY: random.gamma(3, 2, 1000)}, against=known)
    assert recommended(slower, Estimate(0.1, 0.06, 0.14), 9) is Action.INVESTIGATE


def test_drift_lasts_as_long_as_the_windows_before_say() -> None:
    since = NOW - timedelta(days=3)
    drifted = report(shift=0.5, earlier={"feature:size": Onset(since, 4)})
    assert drifted.onsets["feature:size"] == Onset(since, 5)
    assert drifted.onsets["kind"] == Onset(NOW - timedelta(hours=2), 1)
    assert report(earlier={"feature:size": Onset(since, 4)}).onsets == {}


def test_slices_name_the_rows_that_became_more() -> None:
    slices = {(part.signal, part.rows): part for part in report(shift=0.5).slices}
    assert slices["kind", "flat"].change == pytest.approx(0.125, abs=0.04)
    (more,) = [
        part for part in slices.values() if part.signal == "feature:size" and part.change > 0
    ]
    assert more.rows.startswith("above ")
    assert more.window_share > more.reference_share
    assert report().slices == []


def test_shapes_hold_all_rows_of_both_sides() -> None:
    shapes = report(shift=0.5).shapes
    size = shapes["feature:size"]
    assert len(size.edges) == len(size.window) + 1 == 25
    assert (sum(size.window), sum(size.reference)) == (pytest.approx(1), pytest.approx(1))
    assert set(shapes["kind"].names) == {"flat", "house"}


def test_few_values_have_a_cell_each() -> None:
    rows = {feature("rooms"): np.array([1.0, 2.0, 4.0] * 300)}
    shape = report(of=rows, against=reference(window=observed(900, rows))).shapes["feature:rooms"]
    assert shape.edges == (0.5, 1.5, 3.0, 4.5)
    assert shape.window == pytest.approx((1 / 3,) * 3, abs=0.01)


def test_rare_categories_are_drawn_together() -> None:
    rows = {KIND: CategoryColumn([f"kind {place % 20}" for place in range(1000)])}
    shape = report(of=rows, against=reference(window=observed(1000, rows))).shapes["kind"]
    assert len(shape.names) == 9
    assert shape.names[-1] == "(other)"
    assert sum(shape.window) == pytest.approx(1)


def test_text_says_the_same() -> None:
    text = markdown_report(report(shift=0.5, report_id="0199f3c2"))
    assert text.startswith("# Drift of prices, version 3\n")
    assert "**2 of 3 tested signals have drifted.** Recommended: **investigate**." in text
    assert "| feature\\:size | 2026-11-02 10:00 UTC | 1 | 0." in text
    assert "report 0199f3c2" in text


def test_text_says_what_drift_costs() -> None:
    impact = Impact(Estimate(0.8, 0.76, 0.84), 0.9, recalibrated=True)
    assert "Expected loss: +10.0 points" in markdown_report(replace(report(), impact=impact))


def test_names_are_words_in_markdown() -> None:
    name = "<b>|[x](https://a.example)`*_ www.a.example\n# x"
    text = markdown_report(report(against=reference(ModelVersion(name, "1"))))
    (title,) = [line for line in text.splitlines() if line.startswith("# ")]
    assert "\\<b\\>\\|\\[x\\](https\\://a.example)\\`\\*\\_ www\\.a.example\ufffd\\# x" in title


def test_digest_stays_while_the_report_says_the_same() -> None:
    first = report(shift=0.5)
    later = replace(first, generated_at=NOW + timedelta(hours=1))
    other = report(shift=0.4)
    digests = [render(each, Format.HTML).digest for each in (first, later, other)]
    assert digests[0] == digests[1] != digests[2]
    assert render(first, Format.MARKDOWN).digest != digests[0]
    assert render(first, Format.MARKDOWN).style_sha256 == ""
