"""What can go wrong in the log, in its own words. Knows no transport and no database."""

from servicekit.errors import (
    Conflict,
    DeadlineExceeded,
    Exhausted,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unavailable,
)


class PoisonEvent(Exception):
    """An event that no further try can turn into a row; the message says which rule it breaks."""


class RejectedData(Exception):
    """The database refuses the values themselves."""


class PredictionNotFound(NotFound):
    """The tenant has no such prediction."""

    reason = "PREDICTION_NOT_FOUND"


class ErasureNotFound(NotFound):
    """The tenant asked for no such erasure."""

    reason = "ERASURE_NOT_FOUND"


class InvalidRequest(InvalidInput):
    """A field of the request cannot be taken."""

    reason = "INVALID_REQUEST"


class FeedbackKeyReused(Conflict):
    """One idempotency key, two opinions."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class AppendsFull(Exhausted):
    """As many callers append as the log takes at a time."""

    reason = "APPENDS_FULL"


class AuditRetentionRefused(Exception):
    """Rows of the audit trail are over their time and may not leave; the message says why."""


class PrivacyNotConfigured(Unavailable):
    """The service was started without the keys that private parts and subjects need."""

    reason = "PRIVACY_NOT_CONFIGURED"


class ScopeMissing(PermissionDenied):
    """The token lacks a scope that this request needs beside the method's own."""

    reason = "SCOPE_MISSING"


class MasterKeyMissing(Unavailable):
    """The file of master keys lacks the one that a text's key is wrapped with."""

    reason = "MASTER_KEY_MISSING"


class InputDamaged(Internal):
    """A stored text is not what was encrypted under its key."""

    reason = "INPUT_DAMAGED"


class StatsNotReady(Unavailable):
    """What was in the log before its rollups is not counted in them yet."""

    reason = "STATS_NOT_READY"


class ExportsBusy(Exhausted):
    """As many exports are running as the service allows."""

    reason = "EXPORTS_BUSY"


class AppendIdle(DeadlineExceeded):
    """A caller that appends sent nothing for too long."""

    reason = "APPEND_IDLE"


class LogStoreUnavailable(Unavailable):
    """The database is away, too slow or full.

    Args:
        cause: what happened, for our own logs; callers are not told.
    """

    reason = "LOG_STORE_UNAVAILABLE"

    def __init__(self, cause: str) -> None:
        super().__init__("The log's database is away for the moment.", retry_after=1.0)
        self._cause = cause

    def __str__(self) -> str:
        return f"{self.message} ({self._cause})"


class QueryTooSlow(DeadlineExceeded):
    """The query matches more than can be read in time."""

    reason = "QUERY_TOO_SLOW"
