"""How many calls may be made again: a share of all, so that no overload grows by retries."""

from prometheus_client import Counter

RETRIES = Counter(
    "weir_backend_retries_total", "Calls to a service that were made again.", ["backend"]
)
SHARE = 0.1
"""Of calls; in the long run, retries add no more than this."""
_MOST_SAVED = 10.0


class RetryBudget:
    """Every call earns a tenth of a retry; a few are saved for bad moments."""

    def __init__(self, backend: str) -> None:
        self._saved = _MOST_SAVED
        self._retries = RETRIES.labels(backend)

    def earn(self) -> None:
        """Notes a call."""
        if self._saved < _MOST_SAVED:
            self._saved += SHARE

    def spend(self) -> bool:
        """Whether a call may be made again; notes that it is."""
        if self._saved < 1:
            return False
        self._saved -= 1
        self._retries.inc()
        return True
