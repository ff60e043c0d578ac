"""What is kept of one model version: its open window, the last closed one, and feedback.

Less of it is kept of each tenant that has windows of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from drift.break_watch import Standings
from drift.busy_tenants import BusyTenants
from drift.columns import feedback_columns, key_of, prediction_columns
from drift.domain import FeedbackFacts, FeedbackSummary, PredictionFacts, WindowSpan
from drift.incidents import IncidentBook
from drift.intervals import wilson
from drift.signals import SignalWindow

RECENT_PREDICTIONS = 4096
"""Predictions that are recognised when a publisher appends them again, which it does within
seconds, after an append of which the answer was lost."""


@dataclass(frozen=True, slots=True)
class WindowSize:
    """A window closes when it has that many predictions and spans that time, so at the later."""

    rows: int
    time: timedelta = timedelta(0)
    """From the earliest prediction to the latest."""


@dataclass(slots=True)
class Window:
    """Predictions that followed each other, and the feedback that came meanwhile."""

    size: WindowSize
    first_predicted_at: datetime | None = None
    last_predicted_at: datetime | None = None
    observed: SignalWindow = field(default_factory=SignalWindow)

    @property
    def rows(self) -> int:
        """Predictions in it."""
        return self.observed.rows

    @property
    def full(self) -> bool:
        """Whether it is to be closed."""
        return self._is_full(self.rows)

    def take(self, predictions: Sequence[PredictionFacts]) -> int:
        """Takes predictions up to the one that fills it; returns how many.

        Several replicas make them, and clocks step: their times may run back.
        """
        taken = 0
        while taken < len(predictions) and not self._is_full(self.rows + taken):
            at = predictions[taken].predicted_at
            self.first_predicted_at = min(self.first_predicted_at or at, at)
            self.last_predicted_at = max(self.last_predicted_at or at, at)
            taken += 1
        self.observed.update(taken, prediction_columns(predictions[:taken]))
        return taken

    def take_feedback(self, feedback: Sequence[FeedbackFacts]) -> None:
        """Takes feedback, on whatever predictions."""
        self.observed.update(0, feedback_columns(feedback))

    def span(self) -> WindowSpan:
        """Which predictions it holds."""
        return WindowSpan(
            self.first_predicted_at, self.last_predicted_at, self.rows, self.size.rows
        )

    def _is_full(self, rows: int) -> bool:
        if self.first_predicted_at is None or self.last_predicted_at is None:
            return False
        spanned = self.last_predicted_at - self.first_predicted_at
        return rows >= self.size.rows and spanned >= self.size.time


@dataclass(slots=True)
class FeedbackCount:
    """Feedback that named a correct label, and that which agreed with the prediction."""

    labelled: int = 0
    agreed: int = 0

    def add(self, feedback: FeedbackFacts) -> None:
        """Counts one."""
        self.labelled += 1
        self.agreed += feedback.agreed

    def summary(self) -> FeedbackSummary:
        """The accuracy so far."""
        accuracy = wilson(self.agreed, self.labelled) if self.labelled else None
        return FeedbackSummary(self.labelled, accuracy)


@dataclass(slots=True)
class RecentPredictions:
    """The newest predictions by the hashes of their ids, oldest first."""

    keys: dict[bytes, None] = field(default_factory=dict)

    def add(self, prediction_id: str) -> bool:
        """Remembers a prediction; False if it is known. One without an id is always new."""
        if not prediction_id:
            return True
        key = key_of(prediction_id)
        if key in self.keys:
            return False
        self.keys[key] = None
        if len(self.keys) > RECENT_PREDICTIONS:
            del self.keys[next(iter(self.keys))]
        return True


@dataclass(slots=True)
class PopulationState:
    """Of a tenant's part of a model version, or of all of it; nothing has happened by default."""

    open: Window | None = None
    closed: Window | None = None
    feedback: FeedbackCount = field(default_factory=FeedbackCount)
    incidents: IncidentBook = field(default_factory=IncidentBook)

    def take(self, predictions: Sequence[PredictionFacts], size: WindowSize) -> int:
        """Takes predictions up to the one that closes a window, which then is `closed`."""
        if self.open is None:
            self.open = Window(size)
        taken = self.open.take(predictions)
        if self.open.full:
            self.closed, self.open = self.open, None
        return taken

    def take_feedback(self, feedback: Sequence[FeedbackFacts], size: WindowSize) -> None:
        """Counts feedback; the open window has it, too."""
        if self.open is None:
            self.open = Window(size)
        self.open.take_feedback(feedback)
        for each in feedback:
            self.feedback.add(each)

    def reported(self, minimum_rows: int, size: WindowSize) -> Window:
        """The newest window that says something.

        That is the open one, unless it has too few rows yet and a closed one exists.
        """
        current = self.open or Window(size)
        if self.closed is not None and current.rows < minimum_rows:
            return self.closed
        return current


@dataclass(slots=True)
class VersionState(PopulationState):
    """Of one model version, all tenants together."""

    recent: RecentPredictions = field(default_factory=RecentPredictions)
    standings: Standings = field(default_factory=dict)
    """Of the detectors of sudden breaks."""
    tenants: BusyTenants = field(default_factory=BusyTenants)
