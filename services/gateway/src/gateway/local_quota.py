"""The quota's decision in this process's memory: what holds while Redis cannot be asked."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.domain import ConcurrencyCap, PolicyState, QuotaPolicy, WhenAway
from gateway.quota_account import Account, Cost, Decision
from gateway.sliding_window import SlidingWindow


@dataclass(frozen=True, slots=True)
class Admitted:
    """What was spent here while it could not be counted together."""

    key: str
    window: int
    """Milliseconds."""
    bucket: int
    """By this process's clock."""
    age: int
    """Milliseconds, at least."""
    amount: int


class LocalQuota:
    """Counts one gateway's share.

    Args:
        clock: milliseconds.
        replicas: gateways side by side; each allows a limit divided by their number, and one at
            least.
    """

    def __init__(self, clock: Callable[[], int], replicas: int = 1) -> None:
        self._clock = clock
        self._replicas = replicas
        self._windows: dict[str, tuple[int, SlidingWindow]] = {}
        self._held: Counter[str] = Counter()

    def share(self, limit: int) -> int:
        """What this gateway alone may allow of a limit."""
        return max(1, limit // self._replicas)

    def spend(self, account: Account, cost: Cost) -> Decision:
        """Charges the cost to every policy of the account, or to none; takes a place of each cap.

        Policies that are open while Redis is away count, and refuse nobody.
        """
        now = self._clock()
        windows = [
            self._window(key, policy.window * 1000, now)
            for key, policy in zip(account.policy_keys, account.policies, strict=True)
        ]
        waits = [
            0
            if policy.when_away is WhenAway.OPEN or not cost.of(policy)
            else window.wait(window.total + cost.of(policy) - self.share(policy.limit))
            for window, policy in zip(windows, account.policies, strict=True)
        ]
        full = [
            cap.when_away is not WhenAway.OPEN and self._held[key] >= self.share(cap.limit)
            for key, cap in zip(account.cap_keys, account.caps, strict=True)
        ]
        allowed = not any(waits) and not any(full)
        receipt: tuple[int, ...] = ()
        if allowed:
            receipt = tuple(
                window.add(cost.of(policy))
                for window, policy in zip(windows, account.policies, strict=True)
            )
            self._held.update(account.cap_keys)
        violated: list[QuotaPolicy | ConcurrencyCap] = [
            policy for policy, wait in zip(account.policies, waits, strict=True) if wait
        ]
        violated += [cap for cap, is_full in zip(account.caps, full, strict=True) if is_full]
        return Decision(
            allowed,
            self._states(account, windows),
            tuple(violated),
            max(waits, default=0) / 1000,
            receipt,
        )

    def refund(self, account: Account, receipt: tuple[int, ...], cost: Cost) -> None:
        """Gives back what `spend` charged."""
        for key, policy, bucket in zip(account.policy_keys, account.policies, receipt, strict=True):
            if known := self._windows.get(key):
                known[1].take_back(bucket, cost.of(policy))

    def release(self, account: Account) -> None:
        """Gives back the places that `spend` took."""
        for key in account.cap_keys:
            self._held[key] -= 1
            if self._held[key] <= 0:
                del self._held[key]

    def admitted(self) -> Iterator[Admitted]:
        """Everything that counts here now."""
        now = self._clock()
        for key, (length, window) in self._windows.items():
            window.advance(now)
            for bucket, age, amount in window.by_age():
                yield Admitted(key, length, bucket, age, amount)

    def forget_spent(self) -> None:
        """Starts anew: it is counted elsewhere now."""
        self._windows.clear()

    def _window(self, key: str, length: int, now: int) -> SlidingWindow:
        known = self._windows.get(key)
        if known is None:
            known = self._windows[key] = (length, SlidingWindow(length))
        known[1].advance(now)
        return known[1]

    def _states(self, account: Account, windows: list[SlidingWindow]) -> tuple[PolicyState, ...]:
        counted = [
            PolicyState(policy, self.share(policy.limit) - window.total, window.changes_in() / 1000)
            for window, policy in zip(windows, account.policies, strict=True)
            if policy.when_away is not WhenAway.OPEN
        ]
        capped = [
            PolicyState(cap, self.share(cap.limit) - self._held[key], 0.0)
            for key, cap in zip(account.cap_keys, account.caps, strict=True)
            if cap.when_away is not WhenAway.OPEN
        ]
        return (*counted, *capped)
