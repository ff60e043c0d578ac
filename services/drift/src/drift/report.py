"""What is said about the newest window of a model version."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from drift.domain import FeedbackSummary, ModelVersion, Signal, WindowSpan
from drift.impact import Impact
from drift.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """A window of a model version beside its reference."""

    about: ModelVersion
    generated_at: datetime
    reference_source: str
    reference_rows: int
    window: WindowSpan
    signals: Sequence[Signal]
    feedback: FeedbackSummary
    verdicts: Sequence[Verdict]
    """By name of their signals."""
    impact: Impact | None
    """None where the reference does not know how often it was right."""
