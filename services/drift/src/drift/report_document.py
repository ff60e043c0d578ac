"""Makes the one document that all renderers of a report take."""

from collections.abc import Mapping
from datetime import datetime

from drift.comparison import compare
from drift.decisions import Decisions
from drift.domain import FeedbackSummary
from drift.impact import estimate_impact
from drift.recommendation import recommend
from drift.report import Onset, Report
from drift.shapes import shapes_of, slices_of
from drift.signals import SignalReference
from drift.verdict import State
from drift.version_state import Window


class ReportComposer:
    """Compares windows with references and says what follows; takes tens of milliseconds.

    Args:
        minimum_rows: that a signal needs on each side.
    """

    def __init__(self, decisions: Decisions, *, minimum_rows: int) -> None:
        self._decisions = decisions
        self._minimum_rows = minimum_rows

    def compose(
        self,
        reference: SignalReference,
        window: Window,
        *,
        generated_at: datetime,
        feedback: FeedbackSummary,
        report_id: str = "",
        tenant: str = "",
        earlier: Mapping[str, Onset] | None = None,
    ) -> Report:
        """The report on a window.

        Args:
            report_id: of a closed window.
            tenant: that all of its predictions are of.
            earlier: the windows in a row up to the one before in which signals drifted, by name.
        """
        observed = window.observed
        verdicts = self._decisions.decide(reference, observed)
        onsets = {}
        for verdict in verdicts:
            if verdict.state is not State.DRIFT or window.first_predicted_at is None:
                continue
            before = (earlier or {}).get(verdict.signal.name)
            onsets[verdict.signal.name] = (
                Onset(before.since, before.windows + 1)
                if before
                else Onset(window.first_predicted_at, 1)
            )
        impact = estimate_impact(reference, observed)
        return Report(
            about=reference.about,
            generated_at=generated_at,
            reference_source=reference.source,
            reference_rows=reference.window.rows,
            reference_id=reference.reference_id,
            window=window.span(),
            signals=compare(reference.window, observed, self._minimum_rows),
            feedback=feedback,
            verdicts=verdicts,
            impact=impact,
            recommendation=recommend(
                verdicts, impact, {name: onset.windows for name, onset in onsets.items()}
            ),
            report_id=report_id,
            tenant=tenant,
            onsets=onsets,
            slices=slices_of(verdicts, reference.window, observed),
            shapes=shapes_of(reference.window, observed),
        )
