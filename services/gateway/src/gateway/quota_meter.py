"""Decides whether a request fits into its caller's quotas, wherever they can be counted."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from secrets import token_hex

import structlog
from redis.exceptions import RedisError

from gateway.denial_cache import Denial, DenialCache
from gateway.domain import Client, PolicyState, WhenAway
from gateway.leases import Leases
from gateway.local_quota import LocalQuota
from gateway.quota_account import Account, Accounts, Cost, Decision
from gateway.quota_errors import CostOverQuota, QuotaExceeded, QuotaUnavailable
from gateway.quota_metrics import DECISIONS, FAILURES, GIVEN_BACK, LOCAL, SECONDS, WRITTEN_BACK
from gateway.redis_quota import RedisQuota

_log = structlog.get_logger(__name__)

_ALLOWED = DECISIONS.labels("allowed", "redis")
_REFUSED_AGAIN = DECISIONS.labels("refused", "memory")

_FAILURES_UNTIL_AWAY = 3
"""In a row. One alone may be this process's own pause and not Redis's; it is counted locally."""
_MOST_WRITTEN_BACK = 100_000
"""Counts, 61 for each counter at most; of those beyond, the rest of their window is lenient."""


@dataclass(slots=True, eq=False)
class Charge:
    """What a request was charged, for its headers and for what is given back."""

    account: Account
    cost: Cost
    decision: Decision
    local: bool
    lease: str
    """Names its places under caps; empty when it holds none."""
    refunded: bool = field(default=False)

    @property
    def states(self) -> tuple[PolicyState, ...]:
        """Each policy's standing after the charge."""
        return self.decision.states


class QuotaMeter:
    """Charges requests in Redis, and in this process by its share while Redis is away.

    While it is away nobody waits for it: it is tried again beside the requests, every
    `retry_interval` seconds. When it is back it is told what was admitted meanwhile before anyone
    asks it, so that windows that began before stay honoured: it may then count more than a limit,
    never less than what was admitted.

    Args:
        replicas: gateways side by side.
    """

    def __init__(
        self,
        shared: RedisQuota,
        *,
        replicas: int,
        retry_interval: float,
        clock: Callable[[], float] = time.monotonic,
        lease: float = 30.0,
    ) -> None:
        self._shared = shared
        shared.on_failure = self._note_failure
        self._local = LocalQuota(lambda: int(clock() * 1000), replicas)
        self._retry_interval = retry_interval
        self._accounts = Accounts()
        self._denials = DenialCache(clock)
        self._leases = Leases(shared, length=lease)
        self._lease_names = (f"{token_hex(6)}:{n:x}" for n in itertools.count())
        self._returning: asyncio.Task[None] | None = None
        self._failures = 0
        self._last_failure: Exception | None = None

    @property
    def away(self) -> bool:
        """Whether quotas are counted here alone."""
        return self._returning is not None

    def counts_tokens(self, client: Client) -> bool:
        """Whether the tokens of the client's requests need to be known."""
        return self._accounts.of(client).counts_tokens

    async def charge(self, client: Client, items: int, tokens: int = 0) -> Charge:
        """Charges the cost to all of the client's quotas.

        Every charge ends with `release`; `refund` or `settle` may come before.

        Args:
            tokens: the most that the request may take.

        Raises:
            CostOverQuota: the cost never fits.
            QuotaExceeded: it does not fit now.
            QuotaUnavailable: Redis is away, and the cost is more than the local share or a policy
                is closed then.
        """
        account = self._accounts.of(client)
        cost = Cost(items, tokens)
        for policy in account.smallest.values():
            if cost.of(policy) > policy.limit:
                DECISIONS.labels("impossible", "none").inc()
                raise CostOverQuota(
                    f"The request costs {cost.of(policy)} {policy.cost}, and the client's quota "
                    f"never holds more than {policy.phrase}."
                )
        denial = self._denials.find(account, cost)
        if denial is not None:
            _REFUSED_AGAIN.inc()
            raise _exceeded(denial)
        lease = next(self._lease_names) if account.caps else ""
        charge = None if self._returning else await self._charge_shared(account, cost, lease)
        if charge is None:
            charge = self._charge_local(account, cost, lease)
        decision = charge.decision
        self._denials.remember(account, cost, decision)
        if not decision.allowed:
            DECISIONS.labels("refused", "process" if charge.local else "redis").inc()
            raise _exceeded(Denial(decision.violated, decision.states, decision.wait))
        (DECISIONS.labels("allowed", "process") if charge.local else _ALLOWED).inc()
        if lease:
            self._leases.hold(lease, account)
        return charge

    def refund(self, charge: Charge) -> None:
        """Gives a charge back because nothing was done for it."""
        if charge.refunded:
            return
        charge.refunded = True
        GIVEN_BACK.labels("undone").inc()
        self._give_back(charge, charge.cost)

    def settle(self, charge: Charge, tokens: int) -> None:
        """Gives back the tokens that the request did not take."""
        unused = charge.cost.tokens - tokens
        if unused > 0 and not charge.refunded:
            GIVEN_BACK.labels("tokens").inc()
            self._give_back(charge, Cost(0, unused))

    def release(self, charge: Charge) -> None:
        """Gives back the request's places under caps: it is answered, or nobody waits for it."""
        if not charge.lease:
            return
        lease, charge.lease = charge.lease, ""
        self._leases.let_go(lease)
        if charge.local:
            self._local.release(charge.account)
        if not charge.local or not self._returning:
            self._shared.release(charge.account, lease)
        self._denials.forget(charge.account)

    async def aclose(self) -> None:
        """Sends what is still to be given back, and stops trying for Redis."""
        self._leases.close()
        if self._returning is None:
            await self._shared.settled()
        while self._returning and not self._returning.done():
            # Once is not enough: see `servicekit.lifecycle.run_until_stopped`.
            self._returning.cancel()
            await asyncio.wait([self._returning], timeout=1)

    async def returned(self) -> None:
        """Returns when Redis is not away, or not any more."""
        if self._returning:
            await asyncio.wait([self._returning])

    def _give_back(self, charge: Charge, cost: Cost) -> None:
        if charge.local:
            self._local.refund(charge.account, charge.decision.receipt, cost)
        elif not self._returning:
            self._shared.give_back(charge.account, charge.decision.receipt, cost)
        self._denials.forget(charge.account)

    async def _charge_shared(self, account: Account, cost: Cost, lease: str) -> Charge | None:
        """None when Redis did not answer in time."""
        started = time.perf_counter()
        try:
            decision = await self._shared.spend(account, cost, lease)
        except (RedisError, OSError) as error:
            self._note_failure(error)
            return None
        finally:
            SECONDS.observe(time.perf_counter() - started)
        self._failures = 0
        return Charge(account, cost, decision, local=False, lease=lease)

    def _charge_local(self, account: Account, cost: Cost, lease: str) -> Charge:
        closed = [each for each in account.rules if each.when_away is WhenAway.CLOSED]
        if closed:
            DECISIONS.labels("refused", "none").inc()
            message = "Quotas cannot be counted for the moment."
            raise QuotaUnavailable(message, closed, self._retry_interval)
        too_small = [
            policy
            for policy in account.policies
            if policy.when_away is WhenAway.SHARE
            and cost.of(policy) > self._local.share(policy.limit)
        ]
        if too_small:
            DECISIONS.labels("impossible", "process").inc()
            message = (
                "Quotas cannot be counted together for the moment, and the request is larger "
                "than what one replica may allow alone."
            )
            raise QuotaUnavailable(message, too_small, self._retry_interval)
        decision = self._local.spend(account, cost)
        return Charge(account, cost, decision, local=True, lease=lease)

    def _note_failure(self, error: Exception) -> None:
        if error is self._last_failure:
            return  # requests share calls, and hear of one failure each
        self._last_failure = error
        FAILURES.labels(type(error).__name__).inc()
        self._failures += 1
        if self._failures >= _FAILURES_UNTIL_AWAY and not self._returning:
            LOCAL.set(1)
            _log.warning("quota_store_away", error=type(error).__name__)
            self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        """Waits for Redis, tells it what was admitted meanwhile, and has it asked again."""
        while True:
            await asyncio.sleep(self._retry_interval)
            try:
                await self._shared.ping()
                written = await self._write_back()
            except (RedisError, OSError) as error:
                FAILURES.labels(type(error).__name__).inc()
                continue
            break
        self._failures = 0
        self._returning = None
        LOCAL.set(0)
        _log.info("quota_store_back", written_back=written)

    async def _write_back(self) -> int:
        """Tells Redis what was admitted here; if it fails midway, some of it is told twice."""
        admitted = list(itertools.islice(self._local.admitted(), _MOST_WRITTEN_BACK))
        await self._shared.record(admitted)
        await self._leases.restore()
        # From here to the end of the outage nothing waits, so nothing is admitted in between.
        told = {(each.key, each.bucket): each.amount for each in admitted}
        late = [
            replace(each, amount=each.amount - told.get((each.key, each.bucket), 0))
            for each in itertools.islice(self._local.admitted(), _MOST_WRITTEN_BACK)
            if each.amount > told.get((each.key, each.bucket), 0)
        ]
        self._shared.record_first(late)
        self._local.forget_spent()
        written = sum(each.amount for each in (*admitted, *late))
        WRITTEN_BACK.inc(written)
        return written


def _exceeded(denial: Denial) -> QuotaExceeded:
    return QuotaExceeded(denial.violated, denial.states, max(denial.wait, 1.0))
