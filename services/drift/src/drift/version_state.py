"""What is kept of one model version: its open window, the last closed one, and feedback."""

from dataclasses import dataclass, field
from datetime import datetime

from drift.domain import FeedbackFacts, FeedbackSummary, PredictionFacts, WindowSpan
from drift.intervals import wilson
from drift.observations import Observations


@dataclass(slots=True)
class Window:
    """Predictions that followed each other, until there are `capacity` of them."""

    capacity: int
    first_predicted_at: datetime | None = None
    last_predicted_at: datetime | None = None
    observations: Observations = field(default_factory=Observations)

    @property
    def rows(self) -> int:
        """Predictions in it."""
        return self.observations.rows

    @property
    def full(self) -> bool:
        """Whether it is to be closed."""
        return self.rows >= self.capacity

    def add(self, prediction: PredictionFacts) -> None:
        """Takes one prediction; several replicas make them, so their times may run back a bit."""
        at = prediction.predicted_at
        self.first_predicted_at = min(self.first_predicted_at or at, at)
        self.last_predicted_at = max(self.last_predicted_at or at, at)
        self.observations.add(prediction)

    def span(self) -> WindowSpan:
        """Which predictions it holds."""
        return WindowSpan(self.first_predicted_at, self.last_predicted_at, self.rows, self.capacity)


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
class VersionState:
    """Of one model version; nothing has happened by default."""

    open: Window | None = None
    closed: Window | None = None
    feedback: FeedbackCount = field(default_factory=FeedbackCount)

    def add(self, prediction: PredictionFacts, capacity: int) -> Window | None:
        """Takes one prediction; returns the window if that closed it."""
        if self.open is None:
            self.open = Window(capacity)
        self.open.add(prediction)
        if not self.open.full:
            return None
        self.closed, self.open = self.open, None
        return self.closed

    def reported(self, minimum_rows: int, capacity: int) -> Window:
        """The newest window that says something.

        That is the open one, unless it has too few rows yet and a closed one exists.
        """
        current = self.open or Window(capacity)
        if self.closed is not None and current.rows < minimum_rows:
            return self.closed
        return current
