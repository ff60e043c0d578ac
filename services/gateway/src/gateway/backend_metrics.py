"""What is measured of the calls to one service behind the gateway, as the gateway sees them."""

from functools import cache

import grpc
from prometheus_client import Counter, Histogram

from servicekit.exemplars import current_exemplar

CALLS = Counter(
    "weir_backend_calls_total",
    "Calls that a service answered or failed, each try for itself.",
    ["backend", "method", "code"],
)
SECONDS = Histogram(
    "weir_backend_call_seconds",
    "Time that such calls took, seconds.",
    ["backend", "method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class BackendMetrics:
    """Counts and times one service's calls."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def observe(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Notes a call that has ended.

        Args:
            method: its name alone.
        """
        calls, times = _series(self._backend, method, code.name)
        calls.inc()
        times.observe(seconds, current_exemplar())


@cache
def _series(backend: str, method: str, code: str) -> tuple[Counter, Histogram]:
    for failure in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"):
        CALLS.labels(backend, method, failure)
    return CALLS.labels(backend, method, code), SECONDS.labels(backend, method)
