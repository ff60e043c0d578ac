"""When a lasting drift becomes an incident, and when it is over. Knows neither clock nor store.

Of each group of signals it looks at the windows that were judged; a window without enough data says
nothing. Two drifted ones of three open an incident, each further one updates it, three clean ones
after each other close it. Within a group there is one incident for a direction: that of the signal
which drifted most. A drift belongs to the incident that is open, unless it goes the other way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from drift.domain import Estimate
from drift.incident_advice import Severity, advise
from drift.recommendation import Action

LOOKED_AT = 3
TO_OPEN = 2
TO_CLOSE = 3
KEPT_CLOSED = 20
"""Closed incidents of a model version that are still shown; the log keeps them all."""
SUDDEN_BREAK = "sudden break"
"""The group of what the detectors find before a window closes."""


class Direction(StrEnum):
    """Where a signal went."""

    UP = "up"
    DOWN = "down"
    CHANGED = "changed"
    """Categories and vectors have no up and down."""

    def opposes(self, other: "Direction") -> bool:
        """Whether one undoes the other."""
        return {self, other} == {Direction.UP, Direction.DOWN}


class Change(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"


class IncidentState(StrEnum):
    """Where it stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    """Nobody is notified until a time; changes are recorded all the same."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class DriftedSignal:
    """A signal that was called drift."""

    name: str
    direction: Direction
    effect: Estimate
    p_value: float


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """A group of signals in a window of which at least one could be tested."""

    name: str
    drifted: tuple[DriftedSignal, ...]
    """The one that drifted most comes first; none in a clean window."""
    loss: Estimate | None = None
    """Accuracy that is expected to be lost; None where nobody can say."""


@dataclass(frozen=True, slots=True)
class JudgedWindow:
    """What the machine sees of a window."""

    start: datetime
    end: datetime
    groups: tuple[JudgedGroup, ...]
    reference: str = ""
    """What it was compared with."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A drift that lasts, as it is now."""

    id: UUID
    revision: int
    """Counts the changes that were told, from 1."""
    tenant: str
    group: str
    signal: str
    """The one that drifted most when it was opened."""
    direction: Direction
    opened_at: datetime
    changed_at: datetime
    began_at: datetime
    """First prediction of the first window that drifted, or when a sudden break happened."""
    last_drift_at: datetime
    """Last prediction of the last window that did."""
    signals: tuple[DriftedSignal, ...]
    severity: Severity
    action: Action
    reasons: tuple[str, ...]
    loss: Estimate | None = None
    reference: str = ""
    windows: int = 1
    """That drifted."""
    clean: int = 0
    """Clean windows since the last one that drifted."""
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    silenced_until: datetime | None = None
    silenced_by: str = ""

    def state(self, now: datetime) -> IncidentState:
        """Where it stands at a time."""
        if self.closed_at is not None:
            return IncidentState.CLOSED
        if self.silenced_until is not None and now < self.silenced_until:
            return IncidentState.SILENCED
        return IncidentState.ACKNOWLEDGED if self.acknowledged_at else IncidentState.OPEN


@dataclass(frozen=True, slots=True)
class Told:
    """A change, and the incident after it."""

    change: Change
    incident: Incident


@dataclass(frozen=True, slots=True)
class SeenWindow:
    """What is remembered of a judged window of a group, for the two of three."""

    start: datetime
    drifted: tuple[tuple[str, Direction], ...]


@dataclass(frozen=True, slots=True)
class IncidentBook:
    """All that is known of the incidents of a model version, or of a tenant's part of it."""

    seen: Mapping[str, tuple[SeenWindow, ...]] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    """Open ones and the newest closed ones, in the order that they were opened."""

    def opened(self, group: str = "") -> list[Incident]:
        """Those that are not closed."""
        return [i for i in self.incidents if i.closed_at is None and group in ("", i.group)]

    def with_incident(self, incident: Incident) -> "IncidentBook":
        """With that one in the place of its former self, or new."""
        others = [known for known in self.incidents if known.id != incident.id]
        both = sorted([*others, incident], key=lambda known: known.id)
        closed = [known for known in both if known.closed_at is not None]
        forgotten = {known.id for known in closed[: max(0, len(closed) - KEPT_CLOSED)]}
        return replace(self, incidents=tuple(i for i in both if i.id not in forgotten))


def observe(
    book: IncidentBook,
    window: JudgedWindow,
    *,
    tenant: str,
    now: datetime,
    make_id: Callable[[], UUID],
) -> tuple[IncidentBook, list[Told]]:
    """Takes a window that closed; returns what is to be told, in order.

    An incident that only lasts is not told again: another severity, action or other signals are.
    """
    told: list[Told] = []
    for group in window.groups:
        seen = SeenWindow(window.start, tuple((s.name, s.direction) for s in group.drifted))
        history = (*book.seen.get(group.name, ()), seen)[-LOOKED_AT:]
        book = replace(book, seen={**book.seen, group.name: history})
        explained = False
        for incident in book.opened(group.name):
            if group.drifted and _belongs(seen.drifted, incident.signal, incident.direction):
                explained = True
                after = _went_on(incident, window, group, now)
            else:
                after = _was_clean(incident, now)
            if after.revision > incident.revision:
                told.append(Told(Change.CLOSED if after.closed_at else Change.UPDATED, after))
            book = book.with_incident(after)
        if group.drifted and not explained:
            lead = group.drifted[0]
            agreeing = [
                past
                for past in history
                if past.drifted and _belongs(past.drifted, lead.name, lead.direction)
            ]
            if len(agreeing) >= TO_OPEN:
                opened = _open(window, group, agreeing, tenant, now, make_id())
                told.append(Told(Change.OPENED, opened))
                book = book.with_incident(opened)
    return book, told


def close_all(book: IncidentBook, now: datetime) -> list[Told]:
    """Closes what is open, because the model version is watched no more."""
    return [
        Told(Change.CLOSED, replace(i, revision=i.revision + 1, changed_at=now, closed_at=now))
        for i in book.opened()
    ]


def _belongs(drifted: Sequence[tuple[str, Direction]], signal: str, direction: Direction) -> bool:
    """Whether a drift is the one that this signal led in that direction."""
    if not drifted[0][1].opposes(direction):
        return True
    own = dict(drifted).get(signal)
    return own is not None and not own.opposes(direction)


def _open(
    window: JudgedWindow,
    group: JudgedGroup,
    agreeing: Sequence[SeenWindow],
    tenant: str,
    now: datetime,
    identifier: UUID,
) -> Incident:
    lead = group.drifted[0]
    advice = advise(group.name, group.loss, len(agreeing))
    return Incident(
        id=identifier,
        revision=1,
        tenant=tenant,
        group=group.name,
        signal=lead.name,
        direction=lead.direction,
        opened_at=now,
        changed_at=now,
        began_at=agreeing[0].start,
        last_drift_at=window.end,
        signals=group.drifted,
        severity=advice.severity,
        action=advice.action,
        reasons=advice.reasons,
        loss=group.loss,
        reference=window.reference,
        windows=len(agreeing),
    )


def _went_on(
    incident: Incident, window: JudgedWindow, group: JudgedGroup, now: datetime
) -> Incident:
    advice = advise(group.name, group.loss, incident.windows + 1)
    after = replace(
        incident,
        last_drift_at=max(incident.last_drift_at, window.end),
        signals=group.drifted,
        severity=advice.severity,
        action=advice.action,
        reasons=advice.reasons,
        loss=group.loss,
        reference=window.reference,
        windows=incident.windows + 1,
        clean=0,
    )
    if _gist(after) == _gist(incident):
        return after
    return replace(after, revision=incident.revision + 1, changed_at=now)


def _was_clean(incident: Incident, now: datetime) -> Incident:
    clean = incident.clean + 1
    if clean < TO_CLOSE:
        return replace(incident, clean=clean)
    return replace(
        incident, clean=clean, revision=incident.revision + 1, changed_at=now, closed_at=now
    )


def _gist(incident: Incident) -> tuple[object, ...]:
    signals = frozenset((signal.name, signal.direction) for signal in incident.signals)
    return incident.severity, incident.action, signals
