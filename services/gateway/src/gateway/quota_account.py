"""What is counted of a caller: which policies, and under which keys."""

from dataclasses import dataclass, field

from gateway.domain import Client, ConcurrencyCap, CostUnit, PolicyState, QuotaPolicy, QuotaSubject

_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request is charged, by unit."""

    items: int
    tokens: int = 0

    def of(self, policy: QuotaPolicy) -> int:
        """As the policy counts it."""
        return self.items if policy.cost is CostUnit.ITEMS else self.tokens


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one request."""

    allowed: bool
    states: tuple[PolicyState, ...]
    """One per policy, then one per cap, in their order."""
    violated: tuple[QuotaPolicy | ConcurrencyCap, ...] = ()
    wait: float = 0.0
    """Seconds until it can pass, provided that nothing else is spent; 0 when it was allowed, or
    when only a cap is in its way."""
    receipt: tuple[int, ...] = ()
    """The bucket that was charged, by policy: what a refund needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """The counters of one caller; those of a tenant are parts of many accounts.

    All keys hold one hash tag, the tenant: a Redis Cluster keeps them in one slot, so that one call
    can decide on all.
    """

    tenant: str
    policies: tuple[QuotaPolicy, ...]
    caps: tuple[ConcurrencyCap, ...]
    policy_keys: tuple[str, ...]
    cap_keys: tuple[str, ...]
    smallest: dict[CostUnit, QuotaPolicy] = field(init=False)
    """By unit, the policy that holds least."""
    rules: tuple[QuotaPolicy | ConcurrencyCap, ...] = field(init=False)
    """The policies, then the caps."""

    def __post_init__(self) -> None:
        smallest: dict[CostUnit, QuotaPolicy] = {}
        for policy in self.policies:
            known = smallest.setdefault(policy.cost, policy)
            if policy.limit < known.limit:
                smallest[policy.cost] = policy
        object.__setattr__(self, "smallest", smallest)
        rules: list[QuotaPolicy | ConcurrencyCap] = [*self.policies, *self.caps]
        object.__setattr__(self, "rules", tuple(rules))

    @property
    def counts_tokens(self) -> bool:
        """Whether a request's tokens need to be known."""
        return CostUnit.TOKENS in self.smallest


class Accounts:
    """The accounts of clients, made once for each."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[Client, Account]] = {}

    def of(self, client: Client) -> Account:
        """The client's account."""
        identity = (client.tenant, client.client_id, client.key_id)
        known = self._known.get(identity)
        # Tuples of the same policies compare by identity first: this is as quick as it looks.
        if (
            known is not None
            and known[0].quotas == client.quotas
            and known[0].concurrency == client.concurrency
        ):
            return known[1]
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        account = account_of(client)
        self._known[identity] = (client, account)
        return account


def account_of(client: Client) -> Account:
    """The counters of a client's requests.

    Of several policies that would share a counter the strictest holds.
    """
    policies: dict[str, QuotaPolicy] = {}
    for stated in client.quotas:
        policy = _resolved(stated, client)
        key = f"{_prefix(client, policy.subject)}:{policy.window}:{policy.cost[0]}"
        known = policies.setdefault(key, policy)
        if policy.limit < known.limit:
            policies[key] = policy
    caps: dict[str, ConcurrencyCap] = {}
    for stated_cap in client.concurrency:
        cap = _resolved_cap(stated_cap, client)
        key = f"{_prefix(client, cap.subject)}:held"
        known_cap = caps.setdefault(key, cap)
        if cap.limit < known_cap.limit:
            caps[key] = cap
    return Account(
        client.tenant, tuple(policies.values()), tuple(caps.values()), tuple(policies), tuple(caps)
    )


def _resolved(policy: QuotaPolicy, client: Client) -> QuotaPolicy:
    if policy.subject is not QuotaSubject.KEY or client.key_id:
        return policy
    subject = QuotaSubject.CLIENT
    return QuotaPolicy(policy.limit, policy.window, subject, policy.cost, policy.when_away)


def _resolved_cap(cap: ConcurrencyCap, client: Client) -> ConcurrencyCap:
    if cap.subject is not QuotaSubject.KEY or client.key_id:
        return cap
    return ConcurrencyCap(cap.limit, QuotaSubject.CLIENT, cap.when_away)


def _prefix(client: Client, subject: QuotaSubject) -> str:
    tag = f"weir:quota:{{{client.tenant}}}"
    match subject:
        case QuotaSubject.TENANT:
            return f"{tag}:tenant"
        case QuotaSubject.CLIENT:
            return f"{tag}:client:{client.client_id}"
        case QuotaSubject.KEY:
            return f"{tag}:key:{client.key_id}"
