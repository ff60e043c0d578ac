"""The same decision inside Redis, so that all gateways count together.

One call checks every policy of a request and charges all of them or none, and does so for every
request that waits for it. The time is Redis's own: gateways whose clocks differ still see one
window. Needs nothing beyond Redis 6.2.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from gateway.domain import PolicyState, QuotaPolicy
from gateway.sliding_window import BUCKETS, Decision

# ARGV: the time in ms or '' for Redis's own, then limit and window (s) for each key, then the cost
# of each request, in their order.
_SPEND = f"""
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local policies = {{}}
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i]), ARGV[2 * i + 1] * 1000
  local current = math.floor(now * {BUCKETS} / window)
  local spent, order, total = {{}}, {{}}, 0
  local stored = redis.call('HGETALL', key)
  for j = 1, #stored, 2 do
    local bucket, count = tonumber(stored[j]), tonumber(stored[j + 1])
    if bucket < current - {BUCKETS} or count <= 0 then
      redis.call('HDEL', key, stored[j])
    else
      spent[bucket] = count
      order[#order + 1] = bucket
      total = total + count
    end
  end
  table.sort(order)
  policies[i] = {{limit, window, current, total, spent, order, 0}}
end
local answer = {{}}
for a = 2 * #KEYS + 2, #ARGV do
  local cost = tonumber(ARGV[a])
  local longest, refused_by = 0, 0
  for i, policy in ipairs(policies) do
    local limit, window, _, total, spent, order = unpack(policy)
    local excess, wait = total + cost - limit, 0
    for _, bucket in ipairs(order) do
      if excess <= 0 then break end
      excess = excess - spent[bucket]
      wait = math.ceil((bucket + {BUCKETS + 1}) * window / {BUCKETS}) - now
    end
    if wait > longest then longest, refused_by = wait, i end
  end
  answer[#answer + 1] = longest
  answer[#answer + 1] = refused_by
  for _, policy in ipairs(policies) do
    local limit, window, current, _, spent, order = unpack(policy)
    if longest == 0 then
      if not spent[current] then
        spent[current] = 0
        order[#order + 1] = current
        table.sort(order)
      end
      spent[current] = spent[current] + cost
      policy[4] = policy[4] + cost
      policy[7] = policy[7] + cost
    end
    local changes = 0
    if policy[4] > 0 then
      changes = math.ceil((order[1] + {BUCKETS + 1}) * window / {BUCKETS}) - now
    end
    answer[#answer + 1] = limit - policy[4]
    answer[#answer + 1] = changes
    answer[#answer + 1] = current
  end
end
for i, key in ipairs(KEYS) do
  local _, window, current, _, _, _, charged = unpack(policies[i])
  if charged > 0 then
    redis.call('HINCRBY', key, string.format('%.0f', current), charged)
    redis.call('PEXPIRE', key, math.ceil(window * {BUCKETS + 2} / {BUCKETS}))
  end
end
return answer
"""

# Redis's own name for a script; nothing depends on its strength.
_SPEND_HASH = hashlib.sha1(_SPEND.encode(), usedforsecurity=False).hexdigest()

# ARGV: the cost, then the bucket of each key.
_REFUND = """
local cost = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local spent = tonumber(redis.call('HGET', key, ARGV[i + 1]) or '0')
  if spent >= cost then
    redis.call('HINCRBY', key, ARGV[i + 1], -cost)
  end
end
"""


@dataclass(frozen=True, slots=True)
class _Request:
    cost: int
    decided: "asyncio.Future[Decision]"


_Account = tuple[str, tuple[QuotaPolicy, ...]]
"""A key and its policies."""


class RedisQuota:
    """Counts in Redis.

    What comes while a call is on its way shares the next one, each request decided by itself in the
    order in which they came.

    Args:
        clock: milliseconds; None takes Redis's clock, which is what serves.
    """

    def __init__(self, redis: Redis, *, clock: Callable[[], int] | None = None) -> None:
        self._redis = redis
        self._clock = clock
        # redis-py sends the hash and falls back to the text when Redis does not know it.
        self._refund = redis.register_script(_REFUND)
        self._waiting: dict[_Account, list[_Request]] = {}
        self._sending: asyncio.Task[None] | None = None

    async def spend(self, key: str, policies: Sequence[QuotaPolicy], cost: int) -> Decision:
        """Charges the cost to every policy of the key, or to none.

        Raises:
            RedisError: Redis did not answer in time; the cost may be charged all the same.
        """
        request = _Request(cost, asyncio.get_running_loop().create_future())
        self._waiting.setdefault((key, tuple(policies)), []).append(request)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await request.decided

    async def _send(self) -> None:
        """Sends what waits until nothing does; when Redis fails, whoever waits by then hears it."""
        try:
            while self._waiting:
                accounts, self._waiting = self._waiting, {}
                try:
                    answers = await self._spend(accounts)
                except (RedisError, OSError) as error:
                    _fail(accounts, error)
                    # They waited for the same silence, and would wait as long again.
                    waiting, self._waiting = self._waiting, {}
                    _fail(waiting, error)
                    continue
                for ((_, policies), requests), answer in zip(
                    accounts.items(), answers, strict=True
                ):
                    _tell(policies, requests, answer)
        finally:
            self._sending = None

    async def _spend(self, accounts: Mapping[_Account, Sequence[_Request]]) -> list[Any]:
        """One answer of the script per account."""
        now: int | str = self._clock() if self._clock else ""
        calls: list[tuple[int, list[str]]] = []
        for (key, policies), requests in accounts.items():
            keys = _keys(key, policies)
            bounds = [bound for policy in policies for bound in (policy.limit, policy.window)]
            costs = [request.cost for request in requests]
            calls.append((len(keys), [*keys, *map(str, (now, *bounds, *costs))]))
        try:
            return await self._execute(calls)
        except NoScriptError:
            # All of them name the one script, so nothing was charged.
            await self._redis.script_load(_SPEND)
            return await self._execute(calls)

    async def _execute(self, calls: Sequence[tuple[int, list[str]]]) -> list[Any]:
        if len(calls) == 1:
            ((keys, arguments),) = calls
            return [await self._redis.evalsha(_SPEND_HASH, keys, *arguments)]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.evalsha(_SPEND_HASH, keys, *arguments)
            return await pipeline.execute()

    async def refund(
        self, key: str, policies: Sequence[QuotaPolicy], receipt: Sequence[int], cost: int
    ) -> None:
        """Gives back what `spend` charged.

        Raises:
            RedisError: Redis did not answer in time.
        """
        await self._refund(keys=_keys(key, policies), args=[cost, *receipt])

    async def ping(self) -> None:
        """Returns when Redis answers.

        Raises:
            RedisError: it does not.
        """
        await self._redis.ping()


def _tell(
    policies: tuple[QuotaPolicy, ...], requests: Sequence[_Request], answer: Sequence[int]
) -> None:
    width = 2 + 3 * len(policies)
    for number, request in enumerate(requests):
        if request.decided.done():
            continue  # whoever asked has been cancelled meanwhile
        longest, refused_by, *rest = answer[number * width : (number + 1) * width]
        request.decided.set_result(
            Decision(
                allowed=longest == 0,
                states=tuple(
                    PolicyState(policy, rest[3 * index], rest[3 * index + 1] / 1000)
                    for index, policy in enumerate(policies)
                ),
                refused_by=policies[refused_by - 1] if longest else None,
                wait=longest / 1000,
                receipt=tuple(rest[2::3]) if longest == 0 else (),
            )
        )


def _fail(accounts: Mapping[_Account, Sequence[_Request]], error: Exception) -> None:
    for requests in accounts.values():
        for request in requests:
            if not request.decided.done():
                request.decided.set_exception(error)


def _keys(key: str, policies: Sequence[QuotaPolicy]) -> list[str]:
    # The braces put a client's keys into one slot of a Redis Cluster.
    return [f"weir:quota:{{{key}}}:{policy.window}" for policy in policies]
