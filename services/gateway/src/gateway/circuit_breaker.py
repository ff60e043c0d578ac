"""Stops asking a service that fails again and again, and tries it now and then."""

import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

from gateway.errors import BackendUnavailable

_log = structlog.get_logger(__name__)

STATE = Gauge(
    "weir_backend_breaker_open",
    "1 while a service behind the gateway is not asked because it failed again and again.",
    ["backend"],
)
REFUSED = Counter(
    "weir_backend_refused_calls_total", "Calls not made while a breaker was open.", ["backend"]
)
FAILURES_UNTIL_OPEN = 5
"""In a row. One broken replica of several never gets there: the others answer between."""


class CircuitBreaker:
    """Counts the failures of one service.

    Closed, everything passes. After so many failures in a row it opens and refuses at once, so that
    nobody waits for what does not come. When the pause is over one call passes as a probe: if it is
    answered all is well again, else the next pause begins.

    Args:
        pause: seconds between two probes.
    """

    def __init__(
        self,
        backend: str,
        *,
        pause: float,
        failures: int = FAILURES_UNTIL_OPEN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._pause = pause
        self._most = failures
        self._clock = clock
        self._failures = 0
        self._open = False
        self._probe_at = 0.0
        STATE.labels(backend).set(0)
        REFUSED.labels(backend)

    def admit(self) -> None:
        """Returns if a call may be made; `succeeded` or `failed` must be told how it went.

        Raises:
            BackendUnavailable: the service is not asked at the moment.
        """
        if not self._open:
            return
        left = self._probe_at - self._clock()
        if left > 0:
            REFUSED.labels(self._backend).inc()
            raise BackendUnavailable(
                f"{self._backend} is away for the moment.", retry_after=max(1.0, left)
            )
        # This call is the probe. A new pause begins, so that one that never ends blocks nothing.
        self._probe_at = self._clock() + self._pause

    @property
    def is_open(self) -> bool:
        """Whether the service is not asked at the moment, but by probes."""
        return self._open

    def end_pause(self) -> None:
        """Lets the next call pass as a probe: there is a sign that the service is back."""
        self._probe_at = self._clock()

    def succeeded(self) -> None:
        """Notes that the service answered, whatever it said."""
        if self._failures:
            self._failures = 0
        if self._open:
            self._open = False
            STATE.labels(self._backend).set(0)
            _log.info("backend_back", backend=self._backend)

    def failed(self, error: str) -> None:
        """Notes that it did not answer.

        Args:
            error: what the log calls it.
        """
        self._failures += 1
        if self._open:
            self._probe_at = self._clock() + self._pause
        elif self._failures >= self._most:
            self._open = True
            self._probe_at = self._clock() + self._pause
            STATE.labels(self._backend).set(1)
            _log.warning("backend_away", backend=self._backend, error=error)
