"""Who asks, and how much they may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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
OAUTH = "urn:ietf:params:oauth"
"""What names registered for OAuth begin with (RFC 6755)."""
TOKEN_EXCHANGE = f"{OAUTH}:grant-type:token-exchange"
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
