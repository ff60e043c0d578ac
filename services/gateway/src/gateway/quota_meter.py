"""Decides whether a request fits into its client's quotas, wherever they can be counted."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from gateway.domain import (
    Client,
    CostOverQuota,
    PolicyState,
    QuotaExceeded,
    QuotaPolicy,
    QuotaUnavailable,
)
from gateway.redis_quota import RedisQuota
from gateway.sliding_window import Decision, LocalQuota

_log = structlog.get_logger(__name__)

DECISIONS = Counter("weir_quota_decisions_total", "Decisions on quotas.", ["outcome", "counted_in"])
FAILURES = Counter("weir_quota_store_failures_total", "Calls that Redis failed.", ["error"])
LOCAL = Gauge("weir_quota_local", "1 while quotas are counted in this process alone.")

_FAILURES_UNTIL_AWAY = 3
"""In a row. One alone may be this process's own pause and not Redis's; it is counted locally."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request was charged, for its headers and for a refund."""

    client_id: str
    policies: tuple[QuotaPolicy, ...]
    cost: int
    decision: Decision
    local: bool

    @property
    def states(self) -> tuple[PolicyState, ...]:
        """Each policy's standing after the charge."""
        return self.decision.states


class QuotaMeter:
    """Charges requests in Redis, and in this process by its share while Redis is away.

    While it is away, one request every `retry_interval` seconds tries it again; the others do not
    wait for it.
    """

    def __init__(
        self,
        shared: RedisQuota,
        *,
        replicas: int,
        retry_interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._local = LocalQuota(lambda: int(clock() * 1000))
        self._replicas = replicas
        self._retry_interval = retry_interval
        self._clock = clock
        self._away = False
        self._failures = 0
        self._last_failure: Exception | None = None
        self._retry_at = 0.0

    async def charge(self, client: Client, cost: int) -> Charge:
        """Charges the cost to all of the client's quotas.

        Raises:
            CostOverQuota: the cost never fits.
            QuotaExceeded: it does not fit now.
            QuotaUnavailable: Redis is away and the cost is more than the local share.
        """
        smallest = min(client.quotas, key=lambda policy: policy.limit)
        if cost > smallest.limit:
            DECISIONS.labels("impossible", "none").inc()
            raise CostOverQuota(
                f"The request costs {cost}, and the client's quota never holds more than "
                f"{smallest.limit} a {smallest.name}."
            )
        charge = await self._charge_shared(client, cost) or self._charge_local(client, cost)
        decision = charge.decision
        counted_in = "process" if charge.local else "redis"
        DECISIONS.labels("allowed" if decision.allowed else "refused", counted_in).inc()
        if decision.refused_by is not None:
            raise QuotaExceeded(decision.refused_by, decision.states, decision.wait)
        return charge

    async def refund(self, charge: Charge) -> None:
        """Gives a charge back because nothing was done for it; tried once."""
        arguments = (charge.client_id, charge.policies, charge.decision.receipt, charge.cost)
        if charge.local:
            self._local.refund(*arguments)
            return
        try:
            await self._shared.refund(*arguments)
        except (RedisError, OSError) as error:
            self._note_failure(error)

    async def _charge_shared(self, client: Client, cost: int) -> Charge | None:
        """None when Redis is away."""
        if self._away:
            if self._clock() < self._retry_at:
                return None
            # Whoever comes meanwhile does not wait for the same answer.
            self._retry_at = self._clock() + self._retry_interval
        try:
            decision = await self._shared.spend(client.client_id, client.quotas, cost)
        except (RedisError, OSError) as error:
            self._note_failure(error)
            return None
        self._failures = 0
        if self._away:
            self._away = False
            LOCAL.set(0)
            _log.info("quota_store_back")
        return Charge(client.client_id, client.quotas, cost, decision, local=False)

    def _charge_local(self, client: Client, cost: int) -> Charge:
        shares = tuple(
            QuotaPolicy(max(1, policy.limit // self._replicas), policy.window)
            for policy in client.quotas
        )
        if cost > min(share.limit for share in shares):
            DECISIONS.labels("impossible", "process").inc()
            raise QuotaUnavailable(
                "Quotas cannot be counted together for the moment, and the request is larger "
                "than what one replica may allow alone.",
                retry_after=math.ceil(self._retry_interval),
            )
        decision = self._local.spend(client.client_id, shares, cost)
        return Charge(client.client_id, shares, cost, decision, local=True)

    def _note_failure(self, error: Exception) -> None:
        if error is self._last_failure:
            return  # requests share calls, and hear of one failure each
        self._last_failure = error
        FAILURES.labels(type(error).__name__).inc()
        self._failures += 1
        if self._failures < _FAILURES_UNTIL_AWAY:
            return
        self._retry_at = self._clock() + self._retry_interval
        if not self._away:
            self._away = True
            LOCAL.set(1)
            _log.warning("quota_store_away", error=type(error).__name__)
