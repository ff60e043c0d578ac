"""How many predictions may be under way: a fixed bound, and below it what inference can take.

A call is answered when its last item is, so that what inference refuses within a call is told late.
The gateway therefore learns from such refusals and refuses at once itself: the room shrinks by a
tenth when inference is saturated and grows by an item with each call that it took whole.
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
        self._shrunk_at = float("-inf")
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
        ):
            bound = "inference"
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

    def grow(self) -> None:
        """Notes that inference took all of a call."""
        if self._learnt < self._most:
            self._learnt = min(self._most, self._learnt + 1)
            ROOM.set(self._learnt)

    def shrink(self, retry_after: float) -> None:
        """Notes that inference refused for want of room.

        Args:
            retry_after: its hint, seconds.
        """
        now = self._clock()
        if now - self._shrunk_at < _SHRINK_INTERVAL:
            return
        self._shrunk_at = now
        self._retry_after = max(1.0, retry_after)
        self._learnt = max(self._least, 0.9 * min(self._learnt, self._under_way))
        ROOM.set(self._learnt)
