"""What is said about a window of a model version: one document, whoever renders it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from drift.domain import FeedbackSummary, ModelVersion, Signal, WindowSpan
from drift.impact import Impact
from drift.recommendation import Recommendation
from drift.shapes import Shape, Slice
from drift.signals import PACKAGE
from drift.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Onset:
    """Since when a signal drifts without a break, as far back as windows are kept."""

    since: datetime
    windows: int
    """In a row, the reported one included."""


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
    recommendation: Recommendation
    reference_id: str = PACKAGE
    """Empty for a range of time."""
    report_id: str = ""
    """Of a closed window."""
    onsets: Mapping[str, Onset] = field(default_factory=dict)
    """Of drifted signals, by name."""
    slices: Sequence[Slice] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """By name of their signals; vectors have none."""
    tenant: str = ""
    """Whose predictions the window holds alone; empty for those of all tenants."""
