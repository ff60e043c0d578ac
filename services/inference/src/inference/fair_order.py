"""Whose turn it is among flows that share something scarce."""

from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Flow = TypeVar("Flow", bound=Hashable)

_REMEMBERED = 1024
"""Flows that left with more than the others had been given by then."""


class FairOrder(Generic[Flow]):
    """Start-time fair queueing (Goyal, Vin, Cheng: IEEE/ACM Trans. Networking 5(5), 1997).

    Every flow carries what it has been given so far on a common scale; the one that was given
    least is next. One that comes back starts where the others are, so that it is soon served and
    has saved nothing up.
    """

    def __init__(self) -> None:
        self._given: dict[Flow, float] = {}
        self._left: dict[Flow, float] = {}
        self._now = 0.0
        # An entry counts as long as it says what its flow was given; others are passed over.
        self._queue: list[tuple[float, int, Flow]] = []
        self._numbers = count()

    def join(self, flow: Flow) -> None:
        """It wants something from now on; nothing changes if it already did."""
        if flow not in self._given:
            self._set(flow, max(self._now, self._left.pop(flow, 0.0)))

    def leave(self, flow: Flow) -> None:
        """It wants nothing more."""
        given = self._given.pop(flow)
        if given > self._now:
            self._left[flow] = given
            if len(self._left) > _REMEMBERED:
                self._forget()

    def first(self) -> Flow:
        """The next in turn; the one that came first among equals.

        Raises:
            ValueError: nobody wants anything.
        """
        if not self._given:
            raise ValueError("nobody wants anything")
        while True:
            given, _, flow = self._queue[0]
            if self._given.get(flow) == given:
                return flow
            heappop(self._queue)

    def serve(self, flow: Flow, cost: float) -> None:
        """It had its turn, and was given that much."""
        self._now = max(self._now, self._given[flow])
        self.charge(flow, cost)

    def charge(self, flow: Flow, cost: float) -> None:
        """It was given that much in somebody else's turn."""
        self._set(flow, self._given[flow] + cost)

    def _set(self, flow: Flow, given: float) -> None:
        self._given[flow] = given
        heappush(self._queue, (given, next(self._numbers), flow))
        if len(self._queue) > 2 * len(self._given) + _REMEMBERED:
            current = (entry for entry in self._queue if self._given.get(entry[2]) == entry[0])
            self._queue = sorted(current)

    def _forget(self) -> None:
        """Whoever is behind by now, and of the others those that left first."""
        ahead = [(flow, given) for flow, given in self._left.items() if given > self._now]
        self._left = dict(ahead[-_REMEMBERED // 2 :])
