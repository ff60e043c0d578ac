"""The same decision inside Redis, so that all gateways count together.

One call checks every policy and cap of a request and charges all of them or none, and does so for
every request that waits for it. The time is Redis's own: gateways whose clocks differ still see one
window. What is given back travels with the next call, or soon by itself; nobody waits for it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.local_quota import Admitted
from gateway.quota_account import Account, Cost, Decision
from gateway.quota_calls import SCRIPTS, QuotaCalls, decisions
from gateway.redis_scripts import ScriptCall, ScriptRunner

_SETTLE_AFTER = 0.005
"""Seconds that what is given back waits for a call to travel with."""
_MOST_TO_SETTLE = 10_000
"""Counters and leases; beyond, what is given back is lost: counts leave with their window, and
leases expire."""


@dataclass(slots=True)
class _Request:
    cost: Cost
    lease: str
    decided: "asyncio.Future[Decision]"


class RedisQuota:
    """Counts in Redis.

    What comes while a call is on its way shares the next one, each request decided by itself in the
    order in which they came.

    Args:
        timeout: longest that a call may take, seconds.
        lease: seconds after which a place under a cap comes back unless it is renewed.
        clock: milliseconds; None takes Redis's clock, which is what serves.
        on_failure: hears of calls that failed while nobody waited for them.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        timeout: float = 5.0,
        lease: float = 30.0,
        clock: Callable[[], int] | None = None,
        on_failure: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._runner = ScriptRunner(redis, SCRIPTS, timeout=timeout)
        self._calls = QuotaCalls(lease=lease, clock=clock)
        self.on_failure = on_failure
        self._waiting: dict[Account, list[_Request]] = {}
        self._given_back: dict[str, Counter[tuple[str, int, int]]] = {}
        self._released: dict[str, list[str]] = {}
        self._first: list[ScriptCall] = []
        self._due: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    async def spend(self, account: Account, cost: Cost, lease: str = "") -> Decision:
        """Charges the cost to every policy of the account, or to none; takes a place of each cap.

        Args:
            lease: names the places.

        Raises:
            RedisError, OSError: Redis did not answer in time; the cost may be charged all the same.
        """
        request = _Request(cost, lease, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(account, []).append(request)
        self._start()
        return await request.decided

    def give_back(self, account: Account, receipt: Sequence[int], cost: Cost) -> None:
        """Gives back what `spend` charged, soon; tried once."""
        found = self._given_back.setdefault(account.tenant, Counter())
        for key, policy, bucket in zip(account.policy_keys, account.policies, receipt, strict=True):
            amount = cost.of(policy)
            if amount and len(found) < _MOST_TO_SETTLE:
                found[key, policy.window * 1000, bucket] += amount
        self._settle_soon()

    def release(self, account: Account, lease: str) -> None:
        """Gives back the places that `spend` took, soon; tried once."""
        for key in account.cap_keys:
            leases = self._released.setdefault(key, [])
            if len(leases) < _MOST_TO_SETTLE:
                leases.append(lease)
        self._settle_soon()

    async def renew(self, leases: Mapping[str, Account], *, restore: bool = False) -> None:
        """Holds places for longer.

        Args:
            restore: takes those again that are not held any more.

        Raises:
            RedisError, OSError: Redis did not answer in time.
        """
        await self._runner.run_each(self._calls.renew(leases, restore=restore))

    async def record(self, admitted: Sequence[Admitted]) -> None:
        """Adds what was admitted elsewhere to the counters.

        Raises:
            RedisError, OSError: Redis did not answer in time; some may be recorded all the same.
        """
        await self._runner.run_each(self._calls.record(admitted))

    def record_first(self, admitted: Sequence[Admitted]) -> None:
        """The same before the next decision; tried once."""
        self._first += self._calls.record(admitted)
        self._start()

    async def ping(self) -> None:
        """Returns when Redis answers.

        Raises:
            RedisError, OSError: it does not.
        """
        await self._runner.ping()

    async def settled(self) -> None:
        """Returns when nothing waits or is on its way."""
        while self._sending or self._due:
            if self._due:
                self._due.cancel()
                self._due = None
                self._start()
            if self._sending:
                await asyncio.wait([self._sending])

    def _settle_soon(self) -> None:
        if self._sending is None and self._due is None:
            loop = asyncio.get_running_loop()
            self._due = loop.call_later(_SETTLE_AFTER, self._settle_now)

    def _settle_now(self) -> None:
        self._due = None
        self._start()

    def _start(self) -> None:
        if self._sending is None:
            if self._due is not None:
                self._due.cancel()
                self._due = None
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        """Sends what waits until nothing does; when Redis fails, whoever waits by then hears it."""
        try:
            while self._waiting or self._given_back or self._released or self._first:
                accounts, self._waiting = self._waiting, {}
                settlements = self._settlements()
                releases, self._released = self._released, {}
                try:
                    answers = await self._runner.run(
                        [*settlements, *self._spends(accounts)],
                        releases,
                    )
                except (RedisError, OSError) as error:
                    # They waited for the same silence, and would wait as long again.
                    waiting, self._waiting = self._waiting, {}
                    if not _fail(accounts, error) | _fail(waiting, error):
                        self.on_failure(error)
                    continue
                for (account, requests), answer in zip(
                    accounts.items(), answers[len(settlements) :], strict=True
                ):
                    self._tell(account, requests, answer)
        finally:
            self._sending = None

    def _spends(self, accounts: Mapping[Account, Sequence[_Request]]) -> list[ScriptCall]:
        return [
            self._calls.spend(account, ((each.cost, each.lease) for each in requests))
            for account, requests in accounts.items()
        ]

    def _tell(self, account: Account, requests: Sequence[_Request], answer: Sequence[int]) -> None:
        made = decisions(account, len(requests), answer)
        for request, decision in zip(requests, made, strict=True):
            if not request.decided.done():
                request.decided.set_result(decision)
            elif decision.allowed:
                # Whoever asked has been cancelled meanwhile.
                self.give_back(account, decision.receipt, request.cost)
                self.release(account, request.lease)

    def _settlements(self) -> list[ScriptCall]:
        given_back, self._given_back = self._given_back, {}
        first, self._first = self._first, []
        return first + [
            call
            for entries in given_back.values()
            for call in self._calls.give_back(
                [(*entry, amount) for entry, amount in entries.items()]
            )
        ]


def _fail(accounts: Mapping[Account, Sequence[_Request]], error: Exception) -> bool:
    """Whether anybody heard of it."""
    heard = False
    for requests in accounts.values():
        for request in requests:
            if not request.decided.done():
                request.decided.set_exception(error)
                heard = True
    return heard
