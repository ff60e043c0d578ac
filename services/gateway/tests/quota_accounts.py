"""Accounts, clocks and the model that decisions on quotas are held to."""

from collections.abc import Sequence

from hypothesis import strategies as st

from gateway.domain import Client, ConcurrencyCap, CostUnit, QuotaPolicy, QuotaSubject
from gateway.quota_account import Account, Cost, account_of

T0 = 1_790_000_000_000
Trace = list[tuple[int, Cost]]
"""Milliseconds since the request before, and what it costs."""


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self, now: int = T0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def client_of(
    *quotas: QuotaPolicy,
    client_id: str = "c",
    key_id: str = "",
    caps: Sequence[ConcurrencyCap] = (),
) -> Client:
    return Client(client_id, "t", (), frozenset(), quotas, key_id=key_id, concurrency=tuple(caps))


def account(
    *quotas: QuotaPolicy, client_id: str = "c", caps: Sequence[ConcurrencyCap] = ()
) -> Account:
    return account_of(client_of(*quotas, client_id=client_id, caps=caps))


def fits_ever(account: Account, cost: Cost) -> bool:
    return all(cost.of(policy) <= policy.limit for policy in account.smallest.values())


def worst_window(admitted: Sequence[tuple[int, int]], length: int) -> int:
    """The most that any rolling window of that length (ms) admitted."""
    return max(
        (
            sum(cost for at, cost in admitted if start <= at < start + length)
            for start, _ in admitted
        ),
        default=0,
    )


policies = st.lists(
    st.builds(
        QuotaPolicy,
        st.integers(1, 40),
        st.sampled_from([1, 7, 60, 61, 3600]),
        st.sampled_from([QuotaSubject.CLIENT, QuotaSubject.TENANT]),
        st.sampled_from(CostUnit),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda policy: (policy.window, policy.subject, policy.cost),
)
accounts = policies.map(lambda quotas: account(*quotas))
costs = st.builds(Cost, st.integers(1, 5), st.integers(0, 9))
traces = st.lists(
    st.tuples(st.one_of(st.integers(0, 50), st.integers(0, 5000), st.integers(0, 100_000)), costs),
    max_size=60,
)
