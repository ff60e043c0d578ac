"""Tells the log of refusals that come in floods: in sums, not one by one.

Hundreds of equal lines a second would help nobody find who floods, and cost more than the refusals.
"""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from gateway.access import Caller

_log = structlog.get_logger(__name__)

_INTERVAL = 1.0
"""Seconds of refusals that one line tells of."""


class _Kind(NamedTuple):
    route: str
    code: str
    client_id: str
    tenant: str


@dataclass(slots=True)
class _Sum:
    first_request_id: str
    count: int = 0


class RefusalCounts:
    """Counts refused POSTs by route, reason and client: a line a second for each that had any.

    Their number is bounded: only callers who have proved who they are come here.
    """

    def __init__(self) -> None:
        self._sums: dict[_Kind, _Sum] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, route: str, caller: Caller, code: str, request_id: str) -> None:
        """Counts one."""
        kind = _Kind(route, code, caller.client_id, caller.tenant)
        found = self._sums.get(kind)
        if found is None:
            found = self._sums[kind] = _Sum(request_id)
        found.count += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self.tell)

    def tell(self) -> None:
        """Writes what was counted, if anything was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        sums, self._sums = self._sums, {}
        for kind, found in sums.items():
            _log.info(
                "http_requests_refused",
                method="POST",
                status=503,
                count=found.count,
                first_request_id=found.first_request_id,
                **kind._asdict(),
            )
