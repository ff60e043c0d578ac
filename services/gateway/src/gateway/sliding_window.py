"""The quota's decision: a sliding window in 60 buckets, plus the partial one at its end.

Counting the current bucket and the 60 before it covers a little more than the window, so no
rolling window of `policy.window` seconds ever holds more than `policy.limit`. `redis_quota` takes
the same decision inside Redis; a test holds the two together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain import PolicyState, QuotaPolicy

BUCKETS = 60


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one request."""

    allowed: bool
    states: tuple[PolicyState, ...]
    """One per policy, in their order."""
    refused_by: QuotaPolicy | None = None
    """The policy that holds it up longest."""
    wait: float = 0.0
    """Seconds until it can pass, provided that nothing else is spent; 0 when it was allowed."""
    receipt: tuple[int, ...] = ()
    """The bucket that was charged, by policy: what a refund needs."""


def bucket_at(now_ms: int, window: int) -> int:
    """The number of the bucket that a moment falls into."""
    return now_ms * BUCKETS // (window * 1000)


def leaves_at(bucket: int, window: int) -> int:
    """The first millisecond at which a bucket no longer counts."""
    return -(-(bucket + BUCKETS + 1) * window * 1000 // BUCKETS)


class LocalQuota:
    """Counts in this process's memory.

    Args:
        clock: milliseconds; must not go back.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._spent: dict[tuple[str, int], dict[int, int]] = {}

    def spend(self, key: str, policies: Sequence[QuotaPolicy], cost: int) -> Decision:
        """Charges the cost to every policy of the key, or to none."""
        now = self._clock()
        buckets = [self._live_buckets(key, policy, now) for policy in policies]
        waits = [
            _wait(spent, policy, cost, now) for spent, policy in zip(buckets, policies, strict=True)
        ]
        longest = max(waits)
        receipt: tuple[int, ...] = ()
        if longest == 0:
            receipt = tuple(bucket_at(now, policy.window) for policy in policies)
            for spent, bucket in zip(buckets, receipt, strict=True):
                spent[bucket] = spent.get(bucket, 0) + cost
        states = tuple(
            _state(spent, policy, now) for spent, policy in zip(buckets, policies, strict=True)
        )
        refused_by = policies[waits.index(longest)] if longest else None
        return Decision(longest == 0, states, refused_by, longest / 1000, receipt)

    def refund(
        self, key: str, policies: Sequence[QuotaPolicy], receipt: Sequence[int], cost: int
    ) -> None:
        """Gives back what `spend` charged."""
        for policy, bucket in zip(policies, receipt, strict=True):
            spent = self._spent.get((key, policy.window), {})
            if spent.get(bucket, 0) >= cost:
                spent[bucket] -= cost

    def _live_buckets(self, key: str, policy: QuotaPolicy, now: int) -> dict[int, int]:
        oldest = bucket_at(now, policy.window) - BUCKETS
        spent = self._spent.get((key, policy.window), {})
        live = {bucket: count for bucket, count in spent.items() if bucket >= oldest and count}
        self._spent[key, policy.window] = live
        return live


def _wait(spent: dict[int, int], policy: QuotaPolicy, cost: int, now: int) -> int:
    """Milliseconds until the cost fits."""
    excess = sum(spent.values()) + cost - policy.limit
    until = now
    for bucket in sorted(spent):
        if excess <= 0:
            break
        excess -= spent[bucket]
        until = leaves_at(bucket, policy.window)
    return until - now


def _state(spent: dict[int, int], policy: QuotaPolicy, now: int) -> PolicyState:
    changes_in = (leaves_at(min(spent), policy.window) - now) / 1000 if spent else 0.0
    return PolicyState(policy, policy.limit - sum(spent.values()), changes_in)
