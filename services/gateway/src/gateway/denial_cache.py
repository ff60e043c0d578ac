"""What was refused is refused again from memory, so that a flood of it costs Redis nothing.

A denial is remembered until the request could pass, and no longer than half a second: places and
refunds may have come back at another gateway, which this one does not hear of. What comes back here
is forgotten at once. So a request that could pass is refused for half a second more at worst, and
a flood asks Redis twice a second.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain import ConcurrencyCap, PolicyState, QuotaPolicy
from gateway.quota_account import Account, Cost, Decision

LONGEST = 0.5
"""Seconds that a denial is remembered."""
_LONGEST_OF_CAPS = 0.05
"""The same where only a cap is in the way: places come back all the time."""
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request cannot pass now."""

    violated: tuple[QuotaPolicy | ConcurrencyCap, ...]
    states: tuple[PolicyState, ...]
    wait: float
    """Seconds; 0 where only a cap is in the way."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    cost: Cost
    denial: Denial
    since: float
    until: float


class DenialCache:
    """The last denial of each account.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._denials: dict[Account, _Remembered] = {}

    def find(self, account: Account, cost: Cost) -> Denial | None:
        """Why a request of that cost, or of more, cannot pass now, as far as is remembered."""
        known = self._denials.get(account)
        if known is None:
            return None
        now = self._clock()
        if now >= known.until:
            del self._denials[account]
            return None
        if cost.items < known.cost.items or cost.tokens < known.cost.tokens:
            return None
        passed = now - known.since
        denial = known.denial
        return Denial(
            denial.violated,
            tuple(_later(state, passed) for state in denial.states),
            max(0.0, denial.wait - passed),
        )

    def remember(self, account: Account, cost: Cost, decision: Decision) -> None:
        """Notes a decision; what was allowed changes what remains, so it ends the denial."""
        if decision.allowed:
            if self._denials:
                self._denials.pop(account, None)
            return
        now = self._clock()
        longest = min(decision.wait, LONGEST) if decision.wait else _LONGEST_OF_CAPS
        # What remains is exact until then.
        changes = [state.changes_in for state in decision.states if state.changes_in > 0]
        denial = Denial(decision.violated, decision.states, decision.wait)
        if len(self._denials) >= _MOST:
            self._denials.clear()
        self._denials[account] = _Remembered(cost, denial, now, now + min([longest, *changes]))

    def forget(self, account: Account) -> None:
        """Ends the denials that something of this account may have been in the way of."""
        if self._denials:
            for other in [each for each in self._denials if each.tenant == account.tenant]:
                del self._denials[other]


def _later(state: PolicyState, passed: float) -> PolicyState:
    left = max(0.0, state.changes_in - passed)
    return PolicyState(state.policy, state.remaining, left)
