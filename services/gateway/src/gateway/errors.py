"""What the gateway answers with when it must refuse; `reason` is the stable code of each."""

from collections.abc import Sequence

from gateway.domain import ConcurrencyCap, PolicyState, QuotaPolicy
from servicekit.errors import (
    Conflict,
    DeadlineExceeded,
    Exhausted,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
    Unavailable,
)


class MalformedBody(InvalidInput):
    """The body is not JSON at all."""

    reason = "BODY_MALFORMED"


class DuplicateKey(MalformedBody):
    """An object names a key twice: two readers would understand two different things."""

    reason = "JSON_KEY_DUPLICATE"


class JsonTooDeep(MalformedBody):
    """Lists and objects are nested deeper than anything that is asked for here."""

    reason = "JSON_TOO_DEEP"


class JsonTooLarge(MalformedBody):
    """The objects hold more keys than anything that is asked for here."""

    reason = "JSON_TOO_MANY_KEYS"


class TimeoutMalformed(InvalidInput):
    """X-Request-Timeout is no number of seconds."""

    reason = "REQUEST_TIMEOUT_MALFORMED"


class BackendUnavailable(Unavailable):
    """A service behind the gateway failed again and again, and is not asked for a moment."""

    reason = "BACKEND_UNAVAILABLE"


class RequestInFlight(Conflict):
    """A request with the same Idempotency-Key is being answered."""

    reason = "IDEMPOTENCY_KEY_IN_FLIGHT"


class UnsupportedBody(InvalidInput):
    """The body is of a type that is not read."""

    reason = "CONTENT_TYPE_UNSUPPORTED"


class BodyTooLarge(InvalidInput):
    """The body is longer than the gateway reads."""

    reason = "BODY_TOO_LARGE"


class BodyTooSlow(InvalidInput):
    """The body did not come before the request's deadline."""

    reason = "BODY_TOO_SLOW"


class TokenMissing(Unauthenticated):
    """No bearer token came with the request."""

    reason = "TOKEN_MISSING"


class ClientUnknown(Unauthenticated):
    """The token is good, its client is no longer one of ours."""

    reason = "CLIENT_UNKNOWN"


class CredentialsAmbiguous(InvalidInput):
    """The request says in more than one way who asks (RFC 6750, 3.1: invalid_request)."""

    reason = "CREDENTIALS_AMBIGUOUS"


class ApiKeyMalformed(Unauthenticated):
    """What came is no API key by its form or its checksum."""

    reason = "API_KEY_MALFORMED"


class ApiKeyRefused(Unauthenticated):
    """An API key that is well-formed and does not pass."""

    def __init__(self, message: str, *, key_id: str) -> None:
        super().__init__(message)
        self.key_id = key_id


class ApiKeyInvalid(ApiKeyRefused):
    """No such API key can be used, or the secret in it is wrong."""

    reason = "API_KEY_INVALID"


class ApiKeyExpired(ApiKeyRefused):
    """The API key's time is over."""

    reason = "API_KEY_EXPIRED"


class ScopeMissing(PermissionDenied):
    """The token does not hold the scope that the route needs."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: str) -> None:
        super().__init__(f"The credential lacks the scope {scope}.")
        self.scope = scope


class QuotaExceeded(Exhausted):
    """The client has used up a quota, or has too many requests under way.

    `states` tells the standing of each policy, `violated` those that the request does not fit.
    """

    reason = "QUOTA_EXCEEDED"

    def __init__(
        self,
        violated: "tuple[QuotaPolicy | ConcurrencyCap, ...]",
        states: tuple[PolicyState, ...],
        wait: float,
    ) -> None:
        phrases = ", ".join(policy.phrase for policy in violated)
        if all(isinstance(policy, ConcurrencyCap) for policy in violated):
            super().__init__(
                f"No more than {phrases} are allowed.",
                reason="CONCURRENCY_EXCEEDED",
                retry_after=wait,
            )
        else:
            super().__init__(f"The quota of {phrases} is used up.", retry_after=wait)
        self.violated = violated
        self.states = states


class CostOverQuota(InvalidInput):
    """The request asks for more than its client's quota can ever hold."""

    reason = "COST_OVER_QUOTA"


class QuotaUnavailable(Unavailable):
    """The quota store is away; `violated` tells what this request does not fit until it is back.

    This replica's share is smaller than what is asked for, or a policy lets nothing pass then.
    """

    reason = "QUOTA_UNAVAILABLE"

    def __init__(
        self, message: str, violated: "Sequence[QuotaPolicy | ConcurrencyCap]", retry_after: float
    ) -> None:
        super().__init__(message, retry_after=max(1.0, retry_after))
        self.violated = tuple(violated)


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


class IdempotencyKeyReused(InvalidInput):
    """One key, two different requests: 422, as draft-ietf-httpapi-idempotency-key-header asks."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class ErasureUnknown(NotFound):
    """The tenant asked for no such erasure."""

    reason = "ERASURE_NOT_FOUND"


class IdentityUnknown(NotFound):
    """The caller's tenant has no such client or key."""

    reason = "IDENTITY_NOT_FOUND"


class IdentityExists(Conflict):
    """There is one of that id already, of whatever tenant."""

    reason = "CLIENT_EXISTS"


class DeclaredInFile(Conflict):
    """The clients file declares it; it is changed there."""

    reason = "DECLARED_IN_FILE"


class SecretsExhausted(Conflict):
    """There are two live secrets already."""

    reason = "TOO_MANY_SECRETS"


class LastProof(Conflict):
    """Without this secret nothing would be left to prove oneself with."""

    reason = "LAST_SECRET"


class ChangedMeanwhile(Conflict):
    """Somebody else changed the same thing at the same time."""

    reason = "CHANGED_MEANWHILE"


class RevisionOutdated(Conflict):
    """It is not as the If-Match header says any more."""

    reason = "REVISION_OUTDATED"


class ScopeNotHeld(PermissionDenied):
    """Nobody may give what they do not hold."""

    reason = "SCOPE_NOT_HELD"


class TenantNotHeld(PermissionDenied):
    """Nobody may make clients of a tenant that is not theirs."""

    reason = "TENANT_NOT_HELD"


class BootstrapRefused(Unauthenticated):
    """The bootstrap secret is wrong."""

    reason = "BOOTSTRAP_REFUSED"


class BootstrapUsed(Conflict):
    """The first administrator was made already."""

    reason = "BOOTSTRAP_USED"


class AnswerBroken(Exception):
    """Breaks off an answer that is on its way, so that nobody takes it for a complete one.

    Why is in the log already.
    """


class UpstreamFailed(Internal):
    """A service behind the gateway failed, or would not take the gateway's own call."""

    reason = "UPSTREAM_FAILED"
