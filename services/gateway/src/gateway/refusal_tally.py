"""Tells refusals from their repetitions: nobody fills the audit trail by failing again and again.

The first of a kind is told at once; those that follow are counted, and their number is told once a
minute. How many kinds there are is bounded, too, for each source and for all of them: beyond, what
is told says less.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.source_network import network_of

WINDOW = 60.0
"""Seconds for which refusals of a kind are counted before their number is told."""
_KINDS_OF_A_SOURCE = 30
_KINDS = 500


class Refusal(NamedTuple):
    """A kind of refusal; an empty field stands for any."""

    action: str
    reason: str
    client_address: str = ""
    client_id: str = ""
    tenant: str = ""
    """Of the client, where it has proved to be one."""
    target: str = ""

    @property
    def source(self) -> str:
        """A client that has proved who it is, else the network that the request came from."""
        return f"{self.tenant}/{self.client_id}" if self.tenant else network_of(self.client_address)

    @property
    def without_details(self) -> "Refusal":
        """The same for all that its source does."""
        if self.tenant:
            return Refusal(self.action, self.reason, "", self.client_id, self.tenant)
        return Refusal(self.action, self.reason, network_of(self.client_address))

    @property
    def of_anybody(self) -> "Refusal":
        """The same for all sources."""
        return Refusal(self.action, self.reason)


@dataclass(slots=True)
class _Minute:
    source: str
    ends_at: float
    repetitions: int = 0


class RefusalTally:
    """Counts refusals by their kind.

    Args:
        per_source: kinds of one source that are told apart at a time.
        capacity: kinds of all sources.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        per_source: int = _KINDS_OF_A_SOURCE,
        capacity: int = _KINDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_source = per_source
        self._capacity = capacity
        self._clock = clock
        self._minutes: OrderedDict[Refusal, _Minute] = OrderedDict()
        """In the order in which they end."""
        self._kinds_of: Counter[str] = Counter()

    def news(self, refusal: Refusal) -> Refusal | None:
        """What is to be told of it now; None where it repeats what was told, and is counted."""
        kind = self._kind_of(refusal)
        if minute := self._minutes.get(kind):
            minute.repetitions += 1
            return None
        self._minutes[kind] = _Minute(kind.source, self._clock() + WINDOW)
        self._kinds_of[kind.source] += 1
        return kind

    def due(self) -> Iterator[tuple[Refusal, int]]:
        """The kinds whose minute is over and which were repeated in it, and how often."""
        now = self._clock()
        while self._minutes:
            kind, minute = next(iter(self._minutes.items()))
            if minute.ends_at > now:
                return
            del self._minutes[kind]
            if minute.repetitions:
                # Whoever goes on is only counted, for another minute.
                self._minutes[kind] = _Minute(minute.source, now + WINDOW)
                yield kind, minute.repetitions
            else:
                self._forget(minute.source)

    def rest(self) -> Iterator[tuple[Refusal, int]]:
        """What was counted and not told yet; it is told now, and nothing is remembered."""
        minutes, self._minutes = self._minutes, OrderedDict()
        self._kinds_of.clear()
        for kind, minute in minutes.items():
            if minute.repetitions:
                yield kind, minute.repetitions

    def _kind_of(self, refusal: Refusal) -> Refusal:
        if refusal in self._minutes:
            return refusal
        if len(self._minutes) < self._capacity:
            if self._kinds_of[refusal.source] < self._per_source:
                return refusal
            return refusal.without_details
        rough = refusal.without_details
        # Actions and reasons are ours, and few: these need no bound.
        return rough if rough in self._minutes else refusal.of_anybody

    def _forget(self, source: str) -> None:
        self._kinds_of[source] -= 1
        if self._kinds_of[source] <= 0:
            del self._kinds_of[source]
