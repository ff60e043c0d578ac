"""The same decision inside Redis, so that all gateways count together.

One call checks every policy of a request and charges all of them or none. The time is Redis's
own: gateways whose clocks differ still see one window. Needs nothing beyond Redis 6.2.
"""

from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis

from gateway.domain import PolicyState, QuotaPolicy
from gateway.sliding_window import BUCKETS, Decision

# ARGV: the time in ms or '' for Redis's own, the cost, then limit and window (s) for each key.
_SPEND = f"""
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local cost = tonumber(ARGV[2])
local longest, refused_by, policies = 0, 0, {{}}
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i + 1]), ARGV[2 * i + 2] * 1000
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
  local excess, wait = total + cost - limit, 0
  for _, bucket in ipairs(order) do
    if excess <= 0 then break end
    excess = excess - spent[bucket]
    wait = math.ceil((bucket + {BUCKETS + 1}) * window / {BUCKETS}) - now
  end
  if wait > longest then longest, refused_by = wait, i end
  policies[i] = {{limit, window, current, total, order[1] or current}}
end
local answer = {{longest, refused_by}}
for i, key in ipairs(KEYS) do
  local limit, window, current, total, oldest = unpack(policies[i])
  if longest == 0 then
    redis.call('HINCRBY', key, string.format('%.0f', current), cost)
    redis.call('PEXPIRE', key, math.ceil(window * {BUCKETS + 2} / {BUCKETS}))
    total = total + cost
  end
  local changes = 0
  if total > 0 then
    changes = math.ceil((oldest + {BUCKETS + 1}) * window / {BUCKETS}) - now
  end
  answer[#answer + 1] = limit - total
  answer[#answer + 1] = changes
  answer[#answer + 1] = current
end
return answer
"""

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


class RedisQuota:
    """Counts in Redis.

    Args:
        clock: milliseconds; None takes Redis's clock, which is what serves.
    """

    def __init__(self, redis: Redis, *, clock: Callable[[], int] | None = None) -> None:
        self._redis = redis
        self._clock = clock
        # redis-py sends the hash and falls back to the text when Redis does not know it.
        self._spend = redis.register_script(_SPEND)
        self._refund = redis.register_script(_REFUND)

    async def spend(self, key: str, policies: Sequence[QuotaPolicy], cost: int) -> Decision:
        """Charges the cost to every policy of the key, or to none.

        Raises:
            RedisError: Redis did not answer in time; the cost may be charged all the same.
        """
        arguments: list[int | str] = [self._clock() if self._clock else "", cost]
        for policy in policies:
            arguments += (policy.limit, policy.window)
        answer: Any = await self._spend(keys=_keys(key, policies), args=arguments)
        longest, refused_by, *rest = map(int, answer)
        rows = list(zip(rest[::3], rest[1::3], rest[2::3], strict=True))
        return Decision(
            allowed=longest == 0,
            states=tuple(
                PolicyState(policy, remaining, changes / 1000)
                for policy, (remaining, changes, _) in zip(policies, rows, strict=True)
            ),
            refused_by=policies[refused_by - 1] if longest else None,
            wait=longest / 1000,
            receipt=tuple(bucket for _, _, bucket in rows) if longest == 0 else (),
        )

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


def _keys(key: str, policies: Sequence[QuotaPolicy]) -> list[str]:
    # The braces put a client's keys into one slot of a Redis Cluster.
    return [f"weir:quota:{{{key}}}:{policy.window}" for policy in policies]
