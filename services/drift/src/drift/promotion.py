"""Which windows become a reference, and what of them. Knows neither clock nor store.

A reference that is made of windows holds their signals, with two exceptions: those of how the
service runs, whose rows depend on each other, so that no null would hold for them; and feedback of
too few rows, in the place of which the package's claim about its accuracy still stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from drift.block_null import FEWEST_STRETCHES
from drift.decision import rows_of
from drift.domain import ModelVersion
from drift.incidents import Change, Incident, IncidentBook, Told, close_all
from drift.signals import Group, Held, Kind, SignalReference, SignalWindow, Watched
from drift.version_state import Window
from servicekit.errors import Conflict, FieldViolation, InvalidInput

_BY_BLOCKS = {Kind.NUMBER, Kind.RATIO, Kind.CATEGORY}
"""What is judged by blocks: the others need not be in them."""
LONGEST_REASON = 500


class WindowsMissing(InvalidInput):
    """No closed window that is kept began in the range."""

    reason = "NO_CLOSED_WINDOWS"


class ReferenceTooSmall(InvalidInput):
    """The windows hold too little to compare anything with."""

    reason = "REFERENCE_TOO_SMALL"


class ReferenceTooLarge(InvalidInput):
    """The windows hold more than a reference may."""

    reason = "REFERENCE_TOO_LARGE"


class IncidentInRange(Conflict):
    """The range holds drift: what is unusual would be promoted as usual."""

    reason = "INCIDENT_IN_RANGE"


class WindowSetAside(Conflict):
    """The range holds a window that could not be judged: nobody knows what would be usual then."""

    reason = "WINDOW_SET_ASIDE"


class ReasonInvalid(InvalidInput):
    """A change of the reference needs a reason."""

    reason = "REASON_INVALID"


def checked_reason(reason: str) -> str:
    """The reason for a change, if it is one.

    Raises:
        ReasonInvalid: it is none.
    """
    if reason.strip() and reason.isprintable() and len(reason) <= LONGEST_REASON:
        return reason.strip()
    why = f"is not between 1 and {LONGEST_REASON} printable characters"
    raise ReasonInvalid(
        "A change of the reference needs a reason.", violations=[FieldViolation("reason", why)]
    )


@dataclass(slots=True)
class Draft:
    """A reference in the making.

    Args:
        by_blocks: whether rows depend on each other, so that each window is a block.
    """

    about: ModelVersion
    by_blocks: bool
    rows: int = 0
    windows: int = 0
    first_predicted_at: datetime | None = None
    last_predicted_at: datetime | None = None
    _whole: SignalWindow = field(default_factory=SignalWindow)
    _blocks: list[SignalWindow] = field(default_factory=list)

    def add(self, window: Window) -> None:
        """Takes a closed window, in the order that they began."""
        if window.first_predicted_at is None or window.last_predicted_at is None:
            return
        lasting = _of_signals(
            window.observed, {s for s in window.observed.signals if s.group is not Group.SERVICE}
        )
        self._whole.merge(lasting)
        if self.by_blocks:
            judged = {s for s in lasting.signals if s.kind in _BY_BLOCKS}
            self._blocks.append(_of_signals(lasting, judged))
        self.rows += window.rows
        self.windows += 1
        first, last = window.first_predicted_at, window.last_predicted_at
        self.first_predicted_at = min(self.first_predicted_at or first, first)
        self.last_predicted_at = max(self.last_predicted_at or last, last)

    def finished(self, source: str, minimum_rows: int) -> SignalReference:
        """The reference.

        Args:
            minimum_rows: that a signal needs on each side of a test.

        Raises:
            ReferenceTooSmall: it would be of no use; says what there is.
        """
        if self.rows < minimum_rows:
            raise _too_small(f"holds {self.rows} predictions; {minimum_rows} are needed")
        if self.by_blocks and self.windows < FEWEST_STRETCHES:
            raise _too_small(
                f"holds {self.windows} windows of {self.rows} predictions; {FEWEST_STRETCHES} "
                "windows are needed, because rows of this model depend on each other"
            )
        kept = {
            signal
            for signal, held in self._whole.signals.items()
            if signal.group is not Group.FEEDBACK or rows_of(held) >= minimum_rows
        }
        return SignalReference(
            self.about, source, _of_signals(self._whole, kept), blocks=tuple(self._blocks)
        )


def _too_small(why: str) -> ReferenceTooSmall:
    return ReferenceTooSmall(
        f"The range is too short for a reference: it {why}.",
        violations=[FieldViolation("from", why)],
    )


def _of_signals(window: SignalWindow, kept: set[Watched]) -> SignalWindow:
    held: dict[Watched, Held] = {s: h for s, h in window.signals.items() if s in kept}
    return SignalWindow(window.rows, held)


def check_incidents(book: IncidentBook, first: datetime, last: datetime, accepted: bool) -> bool:
    """Whether incidents of all tenants together lie in a time, the caller having accepted that.

    One that is open lies there from its beginning; one that is closed up to its last window that
    drifted.

    Raises:
        IncidentInRange: some do, and nobody accepted it.
    """
    found = [each for each in book.incidents if _lies_in(each, first, last)]
    if found and not accepted:
        named = ", ".join(sorted({f"{each.signal} ({each.group})" for each in found}))
        raise IncidentInRange(
            f"Incidents lie in this range: {named}. Choose another one, or accept their drift as "
            "what is usual from now on."
        )
    return bool(found)


def _lies_in(incident: Incident, first: datetime, last: datetime) -> bool:
    if incident.tenant or incident.began_at > last:
        return False
    return incident.closed_at is None or incident.last_drift_at >= first


def begun_anew(
    book: IncidentBook, now: datetime, reference: str
) -> tuple[IncidentBook, Sequence[Told]]:
    """The incidents after another reference was put in force, and what is to be told.

    What is open is closed, with that as the last of its reasons: it drifted from something that
    nothing is compared with any more. The memory of earlier windows goes for the same cause; if
    the model differs from the new reference, too, two windows open new incidents.
    """
    why = f"Closed because another reference was put in force: {reference}."
    told = [
        Told(Change.CLOSED, replace(each.incident, reasons=(*each.incident.reasons, why)))
        for each in close_all(book, now)
    ]
    for each in told:
        book = book.with_incident(each.incident)
    return replace(book, seen={}), told
