"""Bounds how often somebody may fail to log in."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator

from gateway.source_network import network_of

WINDOW = 60.0
"""Seconds."""
_CAPACITY = 20_000
"""Addresses and client ids that are remembered; the one that failed longest ago goes first."""


class AttemptLimit:
    """Counts failed logins of each address and of each client id, in this process alone.

    As many as the limit may come at once, and as many again in every minute after. A client that
    has logged in from its address before is counted apart: nobody else's failures lock it out.

    Args:
        per_address: failures a minute from one address; of IPv6, from one /64.
        per_client: failures a minute with one client id, from wherever they come.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        per_address: int,
        per_client: int,
        capacity: int = _CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_address = per_address
        self._per_client = per_client
        self._capacity = capacity
        self._clock = clock
        self._paid_until: OrderedDict[Hashable, float] = OrderedDict()
        """Each failure costs its share of a minute, from the end of what was to pay already."""
        self._at_home: OrderedDict[Hashable, None] = OrderedDict()

    def wait(self, address: str, client_id: str) -> float:
        """Seconds until the next attempt is allowed; 0 when it is now."""
        now = self._clock()
        waits = (
            self._paid_until.get(name, now) - now - (WINDOW - WINDOW / limit)
            for name, limit in self._counted(address, client_id)
        )
        # Sums of shares of a minute are off by a little.
        longest = max(waits)
        return longest if longest > 1e-6 else 0.0

    def failed(self, address: str, client_id: str) -> None:
        """Counts a failure."""
        now = self._clock()
        for name, limit in self._counted(address, client_id):
            self._paid_until[name] = max(now, self._paid_until.get(name, now)) + WINDOW / limit
            self._paid_until.move_to_end(name)
        while len(self._paid_until) > self._capacity:
            self._paid_until.popitem(last=False)

    def succeeded(self, address: str, client_id: str) -> None:
        """Remembers that the client is at home at that address."""
        pair = (client_id, network_of(address))
        self._at_home[pair] = None
        self._at_home.move_to_end(pair)
        if len(self._at_home) > self._capacity:
            self._at_home.popitem(last=False)

    def _counted(self, address: str, client_id: str) -> Iterator[tuple[Hashable, int]]:
        network = network_of(address)
        if (client_id, network) in self._at_home:
            yield (client_id, network), self._per_address
            return
        yield ("address", network), self._per_address
        if client_id:
            yield ("client", client_id), self._per_client
