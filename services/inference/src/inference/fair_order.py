"""Whose turn it is among flows that share something scarce."""

from collections.abc import Hashable, Iterator
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

    def __len__(self) -> int:
        return len(self._given)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._given)

    def join(self, flow: Flow) -> None:
        """It wants something from now on; nothing changes if it already did."""
        if flow not in self._given:
            self._given[flow] = max(self._now, self._left.pop(flow, 0.0))

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
        return min(self._given, key=self._given.__getitem__)

    def serve(self, flow: Flow, cost: float) -> None:
        """It had its turn, and was given that much."""
        self._now = max(self._now, self._given[flow])
        self._given[flow] += cost

    def charge(self, flow: Flow, cost: float) -> None:
        """It was given that much in somebody else's turn."""
        self._given[flow] += cost

    def _forget(self) -> None:
        """Whoever is behind by now, and of the others those that left first."""
        ahead = [(flow, given) for flow, given in self._left.items() if given > self._now]
        self._left = dict(ahead[-_REMEMBERED // 2 :])
