"""Who asks, how much they may ask for, and what the gateway can answer with when it must refuse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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

SCOPES = {
    "models:predict": "Ask models for predictions.",
    "models:read": "See which models are served.",
    "models:manage": "Load models and take them out of service, for every tenant.",
    "predictions:read": "Read the tenant's log of predictions and its statistics.",
    "predictions:export": "Take the tenant's log of predictions away as a file.",
    "predictions:write": "Append predictions that were made elsewhere to the tenant's log.",
    "inputs:read": "Read texts that the tenant has kept, one at a time; each reading is audited.",
    "privacy:erase": "Erase what the log knows of a person.",
    "feedback:write": "Tell what a prediction should have been.",
    "drift:read": "Read drift reports.",
    "drift:manage": "Change references and settle incidents of the drift watch.",
    "audit:read": "Read the tenant's audit trail.",
    "admin": "Manage the clients and API keys of the tenant; of all tenants when the client is of "
    "tenant `weir`.",
    "tokens:introspect": "Ask what an access token says: for resource servers.",
}
"""What a client may be granted, with the words that the API's description uses."""

DELEGATE_SCOPE = "delegate"
"""Lets the gateway, and nobody else, say on whose behalf it calls."""

CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105  # a grant's name
GRANT_TYPES = frozenset({CLIENT_CREDENTIALS, TOKEN_EXCHANGE})
"""Ways to an access token (RFC 6749, 4.4; RFC 8693)."""

GATEWAY_CLIENT_ID = "weir-gateway"

PLATFORM_TENANT = "weir"
"""Whoever holds `admin` here manages the clients of every tenant."""

_WINDOW_NAMES = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}


class QuotaSubject(StrEnum):
    """Whose requests a quota counts together."""

    KEY = "key"
    """One API key's; those of a caller without one are counted as the client's."""
    CLIENT = "client"
    TENANT = "tenant"


class CostUnit(StrEnum):
    """What a request is charged."""

    ITEMS = "items"
    """Texts, rows; anything else that has a quota costs 1."""
    TOKENS = "tokens"
    """What the model is given of a text: after it was cut, special tokens included."""


class WhenAway(StrEnum):
    """What a quota does while Redis cannot be asked."""

    SHARE = "share"
    """Each gateway allows its share: the limit divided by their number."""
    OPEN = "open"
    """Everything passes."""
    CLOSED = "closed"
    """Nothing does."""


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """At most `limit` of a unit within any `window` seconds."""

    limit: int
    window: int
    subject: QuotaSubject = QuotaSubject.CLIENT
    cost: CostUnit = CostUnit.ITEMS
    when_away: WhenAway = WhenAway.SHARE

    @property
    def name(self) -> str:
        """What headers and errors call it; no two policies of a caller have the same."""
        window = _WINDOW_NAMES.get(self.window, f"{self.window}s")
        whose = "" if self.subject is QuotaSubject.CLIENT else f"{self.subject}-"
        return f"{whose}{window}{'' if self.cost is CostUnit.ITEMS else f'-{self.cost}'}"

    @property
    def phrase(self) -> str:
        """What it allows, in words."""
        unit = "predictions" if self.cost is CostUnit.ITEMS else "tokens"
        window = _WINDOW_NAMES.get(self.window)
        return f"{self.limit} {unit} " + (f"a {window}" if window else f"in {self.window} s")


@dataclass(frozen=True, slots=True)
class ConcurrencyCap:
    """At most `limit` requests at the same time, at all gateways together."""

    limit: int
    subject: QuotaSubject = QuotaSubject.CLIENT
    when_away: WhenAway = WhenAway.SHARE

    @property
    def name(self) -> str:
        """What headers and errors call it."""
        whose = "" if self.subject is QuotaSubject.CLIENT else f"{self.subject}-"
        return f"{whose}concurrency"

    @property
    def phrase(self) -> str:
        """What it allows, in words."""
        return f"{self.limit} requests at the same time"


class InputKeeping(StrEnum):
    """What the log keeps of an input beside its hash and its counts."""

    NOTHING = "nothing"
    ENCRYPTED = "encrypted"
    """The text, under a key of the person whom it is about."""
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How a tenant has the records of its predictions kept."""

    input: InputKeeping = InputKeeping.NOTHING
    retention_class: str = ""
    """Empty for the log's default."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that was given access on behalf of a tenant."""

    client_id: str
    tenant: str
    secret_hashes: tuple[str, ...]
    scopes: frozenset[str]
    quotas: tuple[QuotaPolicy, ...]
    """Every policy that its requests must fit: its own, its key's and its tenant's."""
    keeping: Keeping = Keeping()
    """Its tenant's."""
    roles: tuple[str, ...] = ()
    """As declared; what they allow is among the scopes."""
    public_keys: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    """JWKs that verify its assertions (private_key_jwt, RFC 7523)."""
    disabled: bool = False
    """Whether it is refused everywhere, though it is still there."""
    key_id: str = ""
    """The API key that the caller used; empty for one that came with an access token."""
    grant_types: frozenset[str] = GRANT_TYPES
    """How it may get access tokens."""
    concurrency: tuple[ConcurrencyCap, ...] = ()
    """Every cap on its requests at the same time: its own, its key's and its tenant's."""


@dataclass(frozen=True, slots=True)
class PolicyState:
    """One policy after a decision."""

    policy: QuotaPolicy | ConcurrencyCap
    remaining: int
    """Below 0 where more was admitted than may be: what was counted elsewhere came in later."""
    changes_in: float
    """Seconds for which no more than `remaining` is left; 0 when nothing is used up, and of a
    cap, which knows no time."""


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
