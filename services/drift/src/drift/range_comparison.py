"""Compares two ranges of time of one model version, over the windows that are kept."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from drift.domain import FeedbackSummary, Population
from drift.history_store import HistoryStore
from drift.intervals import wilson
from drift.judging_faults import judging
from drift.model_versions import ModelVersions
from drift.report import Report
from drift.report_document import ReportComposer
from drift.signals import ACCURACY, SignalReference, SignalWindow
from drift.version_state import Window, WindowSize
from servicekit.errors import FieldViolation, InvalidInput


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From a moment up to another, which is not in it."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        first, last = (at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") for at in self._ends())
        return f"{first} – {last} UTC"

    def _ends(self) -> tuple[datetime, datetime]:
        return self.start, self.end


class RangeInvalid(InvalidInput):
    """A range is none, holds no window that is kept or too few rows, or is in the other."""

    reason = "TIME_RANGE_INVALID"


class RangeComparer:
    """A window belongs to the range that it began in; the open one counts, too.

    Args:
        composer: of its own: references of ranges are used once.
    """

    def __init__(
        self,
        history: HistoryStore,
        versions: ModelVersions,
        composer: ReportComposer,
        *,
        minimum_rows: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._history = history
        self._versions = versions
        self._composer = composer
        self._minimum_rows = minimum_rows
        self._clock = clock

    async def compare(
        self,
        model: str,
        version: str,
        reference: TimeRange,
        window: TimeRange,
        tenant: str = "",
    ) -> Report:
        """The report on one range with the other as its reference.

        Args:
            tenant: whose own windows are meant; empty for those of all tenants together.

        Raises:
            TenantUnwatched: the tenant has no windows of its own.
            NameInvalid: the request names no model.
            ModelUnknown: there are neither predictions nor a reference.
            RangeInvalid: a range cannot be used; says which and why.
            StateUnavailable: the windows cannot be read now.
            WindowUnjudgeable: comparing them fails.
        """
        _check(reference, window)
        of = Population(await self._versions.find(model, version), tenant)
        windows = await self._windows(of, (reference, window))
        before, now = (
            [each for each in windows if each.first_predicted_at in times]
            for times in (reference, window)
        )
        kept = _kept(windows)
        self._check_rows("reference", reference, before, kept)
        self._check_rows("window", window, now, kept)
        known = await self._versions.reference_if_usable(of.about)
        with judging():
            return await asyncio.to_thread(self._compared, of, reference, before, now, known)

    async def _windows(self, of: Population, ranges: Sequence[TimeRange]) -> list["_KeptWindow"]:
        """Those that began in one of the ranges, and the spans of all others."""
        found = []
        open_window = (await self._versions.state(of)).open
        for summary in await self._history.summaries(of):
            observed = None
            if any(summary.first_predicted_at in each for each in ranges):
                window = await self._history.window(of, summary.window_id)
                observed = window.observed if window else None
            found.append(
                _KeptWindow(summary.first_predicted_at, summary.last_predicted_at, observed)
            )
        if open_window and open_window.first_predicted_at and open_window.last_predicted_at:
            found.append(
                _KeptWindow(
                    open_window.first_predicted_at,
                    open_window.last_predicted_at,
                    open_window.observed,
                )
            )
        return sorted(found, key=lambda each: each.first_predicted_at)

    def _check_rows(
        self, field: str, of: TimeRange, windows: Sequence["_KeptWindow"], kept: str
    ) -> None:
        rows = sum(each.observed.rows for each in windows if each.observed)
        if not windows:
            why = f"no window that is kept began in {of}; {kept}"
        elif rows < self._minimum_rows:
            why = f"holds {rows} predictions; {self._minimum_rows} are needed"
        else:
            return
        raise RangeInvalid(
            f"The range {field} cannot be compared: {why}.", violations=[FieldViolation(field, why)]
        )

    def _compared(
        self,
        of: Population,
        reference: TimeRange,
        before: Sequence["_KeptWindow"],
        now: Sequence["_KeptWindow"],
        known: SignalReference | None,
    ) -> Report:
        theirs, ours = _merged(before), _merged(now)
        # Where rows depend on each other, each window is a block: a null by rows would not hold.
        blocks = tuple(each.observed for each in before if each.observed)
        return self._composer.compose(
            SignalReference(
                of.about,
                f"{len(before)} windows of {reference}",
                theirs,
                None,
                blocks if known and known.blocks else (),
                reference_id="",
                labelled=(known.labelled or known) if known else None,
            ),
            Window(
                WindowSize(max(1, ours.rows)),
                min(each.first_predicted_at for each in now),
                max(each.last_predicted_at for each in now),
                ours,
            ),
            generated_at=self._clock(),
            feedback=_feedback(ours),
            tenant=of.tenant,
        )


@dataclass(frozen=True, slots=True)
class _KeptWindow:
    first_predicted_at: datetime
    last_predicted_at: datetime
    observed: SignalWindow | None
    """None where nobody asked for it, or it cannot be read."""


def _check(reference: TimeRange, window: TimeRange) -> None:
    violations = [
        FieldViolation(field, "ends before it begins")
        for field, of in (("reference", reference), ("window", window))
        if of.end <= of.start
    ]
    if not violations and reference.start < window.end and window.start < reference.end:
        violations = [FieldViolation("window", "shares time with the reference")]
    if violations:
        raise RangeInvalid("These ranges cannot be compared.", violations=violations)


def _kept(windows: Sequence[_KeptWindow]) -> str:
    if not windows:
        return "none is kept at all"
    first = windows[0].first_predicted_at
    last = max(each.last_predicted_at for each in windows)
    return f"{len(windows)} are kept, of {TimeRange(first, last)}"


def _merged(windows: Sequence[_KeptWindow]) -> SignalWindow:
    whole = SignalWindow()
    for each in windows:
        if each.observed:
            whole.merge(each.observed)
    return whole


def _feedback(window: SignalWindow) -> FeedbackSummary:
    counted = window.ratio(ACCURACY)
    if counted is None or not counted.denominator:
        return FeedbackSummary(0, None)
    return FeedbackSummary(
        round(counted.denominator), wilson(counted.numerator, counted.denominator)
    )
