"""What becomes of requests to the services behind the gateway, where nothing good does."""

from servicekit.errors import (
    DeadlineExceeded,
    Internal,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unavailable,
)


class BackendUnavailable(Unavailable):
    """A service behind the gateway failed again and again, and is not asked for a moment."""

    reason = "BACKEND_UNAVAILABLE"


class GatewayFull(Unavailable):
    """More predictions are under way than this replica, or one tenant of it, may have."""

    reason = "GATEWAY_FULL"


class DeadlineBeforeSending(DeadlineExceeded):
    """The time was up before anything was sent: nothing has been done."""


class ClientGone(ServiceError):
    """Whoever asked has closed the connection; the answer reaches the log alone."""

    reason = "CLIENT_GONE"


class ClientGoneUnserved(ClientGone):
    """They closed it before anything was sent: nothing has been done."""


class IncidentUnknown(NotFound):
    """There is no such incident, or it is another tenant's."""

    reason = "INCIDENT_NOT_FOUND"


class ModelUnknown(NotFound):
    """No such model is served."""

    reason = "MODEL_NOT_FOUND"


class ModelControlDisabled(PermissionDenied):
    """Inference loads and unloads by its repository alone."""

    reason = "MODEL_CONTROL_DISABLED"


class PredictionUnknown(NotFound):
    """The tenant's log holds no such prediction."""

    reason = "PREDICTION_NOT_FOUND"


class ErasureUnknown(NotFound):
    """The tenant asked for no such erasure."""

    reason = "ERASURE_NOT_FOUND"


class AnswerBroken(Exception):
    """Breaks off an answer that is on its way, so that nobody takes it for a complete one.

    Why is in the log already.
    """


class UpstreamFailed(Internal):
    """A service behind the gateway failed, or would not take the gateway's own call."""

    reason = "UPSTREAM_FAILED"
