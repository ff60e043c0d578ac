"""How many predictions may be under way: a fixed bound, and in overload what is soon answered.

A call is answered when its last item is, so that what inference refuses within a call is told late,
and what waits here waits before inference's own limit begins to count. So once inference refuses
for want of room, the gateway refuses at once itself: as long as there is too much, no more may be
under way than was lately answered in as long as a prediction should wait (Little's law). A crowd
that inference takes whole is not turned away.
"""

import time
from collections import Counter
from collections.abc import Callable

import prometheus_client

from gateway.errors import GatewayFull

UNDER_WAY = prometheus_client.Gauge(
    "weir_gateway_items", "Items that wait in the gateway or are in flight to inference."
)
ROOM = prometheus_client.Gauge(
    "weir_gateway_room_items", "Items that may be under way, as inference's refusals have taught."
)
REFUSALS = prometheus_client.Counter(
    "weir_gateway_refused_items_total", "Items refused because too many are under way.", ["bound"]
)
for _bound in ("all", "tenant", "inference"):
    REFUSALS.labels(_bound)
_SHRINK_INTERVAL = 0.1
"""Seconds; calls that were under way together tell of one moment."""
_LEAST = 64
"""Items; with fewer under way inference would be idle between two calls."""
_LONGEST_WAIT = 0.4
"""Seconds that a prediction should wait in overload, here and at inference together."""
_WINDOW = 0.5
"""Seconds of answers that tell how many come in a second."""
_CALM = 1.0
"""Seconds without a refusal after which an overload is over."""


class Room:
    """Counts what is under way, by tenant.

    Args:
        items: most in all; one tenant may have half of them.
    """

    def __init__(self, items: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = items
        self._least = min(_LEAST, items)
        self._clock = clock
        self._learnt = float(items)
        self._shrunk_at = self._refused_at = float("-inf")
        self._answered = 0
        self._answered_since = 0.0
        self._retry_after = 1.0
        self._under_way = 0
        self._of_tenant: Counter[str] = Counter()
        ROOM.set(items)

    def check(self, tenant: str, size: int) -> None:
        """Returns if a request of so many items could be taken now.

        What has been learnt does not bind a tenant that has less than its equal share of it, nor a
        request, however large, that finds little under way.

        Raises:
            GatewayFull: it could not.
        """
        own = self._of_tenant[tenant] + size if tenant in self._of_tenant else size
        tenants = len(self._of_tenant) + (tenant not in self._of_tenant)
        if self._under_way + size > self._most:
            bound = "all"
        elif own > max(1, self._most // 2):
            bound = "tenant"
        elif (
            self._under_way >= self._least
            and self._under_way + size > self._learnt
            and own > self._learnt / tenants
            and not self._is_calm()
        ):
            bound = "inference"
            self._refused_at = self._clock()
        else:
            return
        REFUSALS.labels(bound).inc(size)
        raise GatewayFull("Too many predictions are under way.", retry_after=self._retry_after)

    def claim(self, tenant: str, size: int) -> None:
        """Takes a request in; `release` ends it.

        Raises:
            GatewayFull: there is no room.
        """
        self.check(tenant, size)
        self._under_way += size
        self._of_tenant[tenant] += size
        UNDER_WAY.set(self._under_way)

    def release(self, tenant: str, size: int) -> None:
        """Ends what was claimed."""
        self._under_way -= size
        self._of_tenant[tenant] -= size
        if not self._of_tenant[tenant]:
            del self._of_tenant[tenant]
        UNDER_WAY.set(self._under_way)

    def answered(self, items: int) -> None:
        """Notes that inference answered so many."""
        now = self._clock()
        if self._is_calm():
            self._answered, self._answered_since = 0, now
            return
        self._answered += items
        seconds = now - self._answered_since
        if seconds >= _WINDOW:
            soon = self._answered / seconds * _LONGEST_WAIT
            self._learn(min(self._most, (self._learnt + soon) / 2))
            self._answered, self._answered_since = 0, now

    def shrink(self, retry_after: float) -> None:
        """Notes that inference refused for want of room.

        Args:
            retry_after: its hint, seconds.
        """
        now = self._clock()
        if self._is_calm():
            # Counted from here: nothing may have been asked for long.
            self._answered, self._answered_since = 0, now
        self._refused_at = now
        if now - self._shrunk_at < _SHRINK_INTERVAL:
            return
        self._shrunk_at = now
        self._retry_after = max(1.0, retry_after)
        self._learn(0.9 * min(self._learnt, self._under_way))

    def _is_calm(self) -> bool:
        """Whether the overload is over; what it taught is forgotten then."""
        calm = self._clock() - self._refused_at >= _CALM
        if calm and self._learnt < self._most:
            self._learn(self._most)
        return calm

    def _learn(self, items: float) -> None:
        self._learnt = max(self._least, items)
        ROOM.set(self._learnt)
