"""What the quota scripts are called with, and what their answers say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.domain import CostUnit, PolicyState
from gateway.local_quota import Admitted
from gateway.quota_account import Account, Cost, Decision
from gateway.quota_scripts import GIVE_BACK, RECORD, RENEW, SPEND
from gateway.redis_scripts import ScriptCall

SCRIPTS = (SPEND, GIVE_BACK, RECORD, RENEW)
Entry = tuple[str, int, int, int]
"""A counter's key and three numbers about it."""
_UNITS = {CostUnit.ITEMS: 1, CostUnit.TOKENS: 2}
_REMEMBERED = 10_000
"""Accounts."""
_TOGETHER = 256
"""Entries of one call: each call has a time that it must keep."""


class QuotaCalls:
    """Makes calls.

    Args:
        lease: seconds after which a place under a cap comes back unless it is renewed.
        clock: milliseconds; None takes Redis's clock.
    """

    def __init__(self, *, lease: float, clock: Callable[[], int] | None) -> None:
        self._lease = int(lease * 1000)
        self._clock = clock
        self._fixed: dict[Account, tuple[str | int, ...]] = {}

    def spend(self, account: Account, asked: Iterable[tuple[Cost, str]]) -> ScriptCall:
        """Decides on costs, each with the name of its places, one after the other."""
        arguments: list[str | int] = [self._now(), *self._fixed_of(account)]
        for cost, lease in asked:
            arguments += (cost.items, cost.tokens, lease)
        return ScriptCall(SPEND, account.policy_keys + account.cap_keys, arguments)

    def give_back(self, entries: Sequence[Entry]) -> list[ScriptCall]:
        """Takes amounts out of counters of one tenant: key, window (ms), bucket and amount."""
        return [ScriptCall(GIVE_BACK, *self._numbered(part)) for part in _parts(entries)]

    def record(self, admitted: Iterable[Admitted]) -> list[ScriptCall]:
        """Adds what was admitted elsewhere."""
        by_tenant: dict[str, list[Entry]] = {}
        for each in admitted:
            entry = (each.key, each.window, each.age, each.amount)
            by_tenant.setdefault(_tag(each.key), []).append(entry)
        return [
            ScriptCall(RECORD, *self._numbered(part))
            for entries in by_tenant.values()
            for part in _parts(entries)
        ]

    def renew(self, leases: Mapping[str, Account], *, restore: bool) -> list[ScriptCall]:
        """Holds places for longer, or takes them again."""
        by_tenant: dict[str, list[tuple[str, str]]] = {}
        for lease, account in leases.items():
            pairs = [(key, lease) for key in account.cap_keys]
            by_tenant.setdefault(account.tenant, []).extend(pairs)
        how: list[str | int] = [self._now(), self._lease, "" if restore else "XX"]
        return [
            ScriptCall(RENEW, [key for key, _ in part], [*how, *(name for _, name in part)])
            for pairs in by_tenant.values()
            for part in _parts(pairs)
        ]

    def _now(self) -> int | str:
        return self._clock() if self._clock else ""

    def _fixed_of(self, account: Account) -> tuple[str | int, ...]:
        fixed = self._fixed.get(account)
        if fixed is None:
            if len(self._fixed) >= _REMEMBERED:
                self._fixed.clear()
            fixed = self._fixed[account] = (
                len(account.policies),
                self._lease,
                *(
                    bound
                    for policy in account.policies
                    for bound in (policy.limit, policy.window * 1000, _UNITS[policy.cost])
                ),
                *(cap.limit for cap in account.caps),
            )
        return fixed

    def _numbered(self, entries: Sequence[Entry]) -> tuple[list[str], list[str | int]]:
        """The keys, each once, and the entries with their key's number."""
        numbers = {key: n for n, key in enumerate(dict.fromkeys(e[0] for e in entries), start=1)}
        arguments: list[str | int] = [self._now()]
        for key, *rest in entries:
            arguments += (numbers[key], *rest)
        return list(numbers), arguments


def decisions(account: Account, asked: int, answer: Sequence[int]) -> list[Decision]:
    """What the answer to `spend` says of each of so many costs."""
    width = 2 + 3 * len(account.policies) + len(account.caps)
    return [_decision(account, answer[n * width : (n + 1) * width]) for n in range(asked)]


def _decision(account: Account, answer: Sequence[int]) -> Decision:
    policies, caps = account.policies, account.caps
    violated, longest, *rest = answer
    states = [
        PolicyState(policy, rest[3 * n], rest[3 * n + 1] / 1000)
        for n, policy in enumerate(policies)
    ]
    if caps:
        places = rest[3 * len(policies) :]
        states += [PolicyState(cap, left, 0.0) for cap, left in zip(caps, places, strict=True)]
    if violated:
        hindering = [each for n, each in enumerate(account.rules) if violated >> n & 1]
        return Decision(False, tuple(states), tuple(hindering), longest / 1000)
    return Decision(True, tuple(states), receipt=tuple(rest[2 : 3 * len(policies) : 3]))


def _parts(entries: Sequence[Any]) -> list[Any]:
    return [entries[start : start + _TOGETHER] for start in range(0, len(entries), _TOGETHER)]


def _tag(key: str) -> str:
    return key[key.index("{") : key.index("}")]
