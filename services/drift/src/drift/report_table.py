"""What all renderings say of each signal, in words."""

from dataclasses import dataclass

from drift.report import Report
from drift.report_words import UNITS, chance, count, in_order, interval, moment, number, plain
from drift.verdict import State, Verdict

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One signal; what it has not is a dash."""

    name: str
    group: str
    state: State
    effect: str
    unit: str
    interval: str
    p: str
    detectable: str
    rows: str
    reference_rows: str
    since: str
    windows: int


def table_rows(report: Report) -> list[TableRow]:
    """Every signal, what drifted first."""
    return [_row(report, verdict) for verdict in in_order(report.verdicts)]


def is_tested(verdict: Verdict) -> bool:
    """Whether there were enough rows to say something."""
    return verdict.finding is not None


def headline(report: Report) -> str:
    """The report in one line."""
    tested = sum(map(is_tested, report.verdicts))
    drifted = sum(verdict.state is State.DRIFT for verdict in report.verdicts)
    if not tested:
        return "Not enough data"
    if not drifted:
        return f"No drift in {tested} tested signals"
    verb = "signals have" if tested > 1 else "signal has"
    return f"{drifted} of {tested} tested {verb} drifted"


def _row(report: Report, verdict: Verdict) -> TableRow:
    finding, onset = verdict.finding, report.onsets.get(verdict.signal.name)
    return TableRow(
        name=plain(verdict.signal.name),
        group=verdict.signal.group,
        state=verdict.state,
        effect=number(finding.effect.value) if finding else NOTHING,
        unit=UNITS[verdict.signal.kind],
        interval=interval(finding.effect) if finding else NOTHING,
        p=chance(finding.p_value) if finding else NOTHING,
        detectable=number(finding.detectable) if finding else NOTHING,
        rows=count(verdict.rows),
        reference_rows=count(verdict.reference_rows),
        since=moment(onset.since) if onset else NOTHING,
        windows=onset.windows if onset else 0,
    )
