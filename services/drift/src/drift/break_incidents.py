"""Incidents of sudden breaks: opened at once, closed after three windows without another one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from drift.break_watch import FEEDBACK_ERROR, Break
from drift.incident_advice import Severity
from drift.incidents import (
    SUDDEN_BREAK,
    Change,
    Direction,
    Incident,
    IncidentBook,
    JudgedGroup,
    JudgedWindow,
    Told,
)
from drift.recommendation import Action

_WHAT = {FEEDBACK_ERROR: "The share of answers that feedback calls wrong"}


def on_break(
    book: IncidentBook, found: Break, *, tenant: str, now: datetime, make_id: Callable[[], UUID]
) -> tuple[IncidentBook, list[Told]]:
    """Takes a break; one that goes on in the same direction is told once."""
    direction = Direction(found.direction.value)
    for incident in book.opened(SUDDEN_BREAK):
        if incident.direction is direction:
            last = max(incident.last_drift_at, found.found_at)
            return book.with_incident(replace(incident, last_drift_at=last, clean=0)), []
    incident = Incident(
        id=make_id(),
        revision=1,
        tenant=tenant,
        group=SUDDEN_BREAK,
        signal=found.signal,
        direction=direction,
        opened_at=now,
        changed_at=now,
        began_at=found.began_at,
        last_drift_at=found.found_at,
        signals=(),
        severity=Severity.WARNING,
        action=Action.INVESTIGATE,
        reasons=(
            f"{_WHAT.get(found.signal, 'The ' + found.signal)} went {direction.value} at once, "
            f"most likely at {found.began_at.isoformat(timespec='seconds')}: look at what was "
            "changed then, here or where the inputs come from.",
        ),
        windows=0,
    )
    return book.with_incident(incident), [Told(Change.OPENED, incident)]


def with_calm(book: IncidentBook, window: JudgedWindow) -> JudgedWindow:
    """The window, with a clean group of sudden breaks where one is open and none came in it."""
    opened = book.opened(SUDDEN_BREAK)
    if not opened or any(incident.last_drift_at >= window.start for incident in opened):
        return window
    return replace(window, groups=(*window.groups, JudgedGroup(SUDDEN_BREAK, ())))
