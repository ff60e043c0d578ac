"""Shows incidents to people, and takes down what they say about them."""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from drift.domain import (
    CursorInvalid,
    IncidentClosed,
    IncidentUnknown,
    ModelVersion,
    Population,
    StateUnavailable,
    TimeInvalid,
)
from drift.incident_events import from_told
from drift.incidents import Change, Incident, IncidentBook, IncidentState, Told
from drift.state_store import StateStore
from drift.state_transaction import StateConflict
from servicekit.errors import FieldViolation

MOST_LISTED = 200
_TRIES = 5
_LONGEST_WHO = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """An incident with whose predictions it is about, as it is at a time."""

    of: Population
    incident: Incident
    state: IncidentState

    @property
    def about(self) -> ModelVersion:
        """The model version."""
        return self.of.about


class IncidentDesk:
    """A tenant sees the incidents of all tenants together and its own."""

    def __init__(
        self, store: StateStore, *, incidents_stream: str, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._stream = incidents_stream
        self._clock = clock

    async def page(
        self, tenant: str, *, model: str, state: IncidentState | None, limit: int, cursor: str
    ) -> tuple[list[Shown], str]:
        """Incidents, newest first, and the cursor of the next page; empty on the last.

        Args:
            model: empty for any.
            limit: at most `MOST_LISTED`; 0 for 50.

        Raises:
            CursorInvalid: the cursor is none that a page gave.
            StateUnavailable: the store is away.
        """
        before = _decoded(cursor) if cursor else None
        limit = min(limit or 50, MOST_LISTED)
        found = [
            shown
            for shown in self._shown(await self._books(tenant), tenant)
            if model in ("", shown.about.model)
            and state in (None, shown.state)
            and (before is None or shown.incident.id < before)
        ]
        found.sort(key=lambda shown: shown.incident.id, reverse=True)
        page = found[:limit]
        return page, _encoded(page[-1].incident.id) if len(found) > limit else ""

    async def find(self, tenant: str, identifier: str) -> Shown:
        """One incident.

        Raises:
            IncidentUnknown: there is none, or it is another tenant's.
            StateUnavailable: the store is away.
        """
        return self._find(await self._books(tenant), tenant, identifier)

    async def acknowledge(self, tenant: str, identifier: str, who: str) -> Shown:
        """Says that somebody looks after an incident; who was first stays.

        Raises:
            IncidentUnknown, IncidentClosed, StateUnavailable.
        """

        def change(incident: Incident, now: datetime) -> Told | None:
            if incident.acknowledged_at is not None:
                return None
            after = replace(
                incident,
                revision=incident.revision + 1,
                changed_at=now,
                acknowledged_at=now,
                acknowledged_by=who[:_LONGEST_WHO],
            )
            return Told(Change.ACKNOWLEDGED, after)

        return await self._change(tenant, identifier, change)

    async def silence(self, tenant: str, identifier: str, who: str, until: datetime) -> Shown:
        """Lets nobody be notified of an incident until a time; one in the past ends a silence.

        Raises:
            TimeInvalid: the time has no zone.
            IncidentUnknown, IncidentClosed, StateUnavailable.
        """
        if until.tzinfo is None:
            raise TimeInvalid(
                "The silence needs an end.", violations=[FieldViolation("until", "has no zone")]
            )

        def change(incident: Incident, now: datetime) -> Told | None:
            if incident.silenced_until == until:
                return None
            after = replace(
                incident,
                revision=incident.revision + 1,
                changed_at=now,
                silenced_until=until,
                silenced_by=who[:_LONGEST_WHO],
            )
            return Told(Change.SILENCED, after)

        return await self._change(tenant, identifier, change)

    async def _change(
        self, tenant: str, identifier: str, change: Callable[[Incident, datetime], Told | None]
    ) -> Shown:
        for _ in range(_TRIES):
            try:
                return await self._change_once(tenant, identifier, change)
            except StateConflict:
                # A window was stored meanwhile.
                continue
        raise StateUnavailable("The store of the windows is busy.", retry_after=1.0)

    async def _change_once(
        self, tenant: str, identifier: str, change: Callable[[Incident, datetime], Told | None]
    ) -> Shown:
        async with self._store.transaction() as transaction:
            visible = _visible(await transaction.versions(), tenant)
            books = {of: await transaction.incidents(of) for of in visible}
            shown = self._find(books, tenant, identifier)
            if shown.incident.closed_at is not None:
                raise IncidentClosed("The incident is closed.")
            now = self._clock()
            told = change(shown.incident, now)
            if told is None:
                return shown
            book = books[shown.of].with_incident(told.incident)
            facts = [(self._stream, from_told(shown.about, told))]
            await transaction.store_incidents(shown.of, book, facts)
        return Shown(shown.of, told.incident, told.incident.state(now))

    async def _books(self, tenant: str) -> dict[Population, IncidentBook]:
        return await self._store.incidents(_visible(await self._store.versions(), tenant))

    def _find(self, books: dict[Population, IncidentBook], tenant: str, identifier: str) -> Shown:
        for shown in self._shown(books, tenant):
            if str(shown.incident.id) == identifier.lower():
                return shown
        raise IncidentUnknown("There is no such incident.")

    def _shown(self, books: dict[Population, IncidentBook], tenant: str) -> list[Shown]:
        now = self._clock()
        return [
            Shown(of, incident, incident.state(now))
            for of, book in books.items()
            for incident in book.incidents
            if incident.tenant in ("", tenant)
        ]


def _visible(versions: Iterable[ModelVersion], tenant: str) -> list[Population]:
    """Whose incidents a tenant sees."""
    tenants = ("", tenant) if tenant else ("",)
    return [Population(about, each) for about in versions for each in tenants]


def _encoded(identifier: UUID) -> str:
    return base64.urlsafe_b64encode(identifier.bytes).decode()


def _decoded(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        fault = FieldViolation("cursor", "is none that a page gave")
        raise CursorInvalid("The query cannot be taken.", violations=[fault]) from error
