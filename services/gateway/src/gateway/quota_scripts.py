"""What Redis runs: the sliding window of `sliding_window`, packed into one string per policy.

A string holds the time of its last change, what its clock lags behind (a clock that went back), the
total, the oldest bucket that holds anything, then 61 counts in a ring. So a decision reads the
total and touches one count, however long the window: about as much work for 61 full buckets as for
one. Needs nothing beyond Redis 6.2.
"""

import hashlib
from dataclasses import dataclass, field

from gateway.sliding_window import BUCKETS

_RING = BUCKETS + 1

_WINDOW = f"""
local call, floor, ceil, sub = redis.call, math.floor, math.ceil, string.sub
local pack, unpack_at = struct.pack, struct.unpack
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end
local function count_of(p, bucket)
  return (unpack_at('<I4', p.ring, bucket % {_RING} * 4 + 1))
end
local function set_count(p, bucket, count)
  local at = bucket % {_RING} * 4
  p.ring = sub(p.ring, 1, at) .. pack('<I4', count) .. sub(p.ring, at + 5)
end
local function skip_empty(p)
  while p.total > 0 and count_of(p, p.oldest) == 0 do p.oldest = p.oldest + 1 end
end
local function open(key, window)
  local p = {{key = key, window = window, at = now, offset = 0, total = 0, oldest = 0}}
  local stored = call('GET', key)
  if stored then
    local clock, offset, total, oldest = unpack_at('<dddd', stored)
    local at = now + offset
    if at < clock then
      offset, at, p.changed = offset + clock - at, clock, true
    end
    p.at, p.offset = at, offset
    p.current = floor(at * {BUCKETS} / window)
    if total > 0 and p.current - floor(clock * {BUCKETS} / window) <= {BUCKETS} then
      p.ring, p.total, p.oldest = sub(stored, 33), total, oldest
      while p.total > 0 and p.oldest < p.current - {BUCKETS} do
        local count = count_of(p, p.oldest)
        if count > 0 then
          p.total = p.total - count
          set_count(p, p.oldest, 0)
        end
        p.oldest = p.oldest + 1
      end
      skip_empty(p)
    end
  else
    p.current = floor(now * {BUCKETS} / window)
  end
  p.ring = p.ring or string.rep('\\0', {4 * _RING})
  return p
end
local function add(p, bucket, amount)
  if p.total == 0 or bucket < p.oldest then p.oldest = bucket end
  set_count(p, bucket, math.min(count_of(p, bucket) + amount, 4294967295))
  p.total = p.total + amount
  p.changed = true
end
local function save(p)
  if p.changed then
    call('SET', p.key, pack('<dddd', p.at, p.offset, p.total, p.oldest) .. p.ring,
      'PX', ceil(p.window * {BUCKETS + 2} / {BUCKETS}))
  end
end
"""

_SPEND = (
    _WINDOW
    + f"""
local count, lease = tonumber(ARGV[2]), tonumber(ARGV[3])
local caps = #KEYS - count
local policies, limits, units, held, most = {{}}, {{}}, {{}}, {{}}, {{}}
local a = 4
for i = 1, count do
  limits[i], units[i] = tonumber(ARGV[a]), tonumber(ARGV[a + 2])
  policies[i] = open(KEYS[i], tonumber(ARGV[a + 1]))
  a = a + 3
end
for i = 1, caps do
  local key = KEYS[count + i]
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  -- Only a clock that went back leaves leases that end so late.
  for _, id in ipairs(call('ZRANGEBYSCORE', key, '(' .. now + lease, '+inf')) do
    call('ZADD', key, now + lease, id)
  end
  most[i], held[i] = tonumber(ARGV[a]), call('ZCARD', key)
  a = a + 1
end
local answer, n, bit = {{}}, 0, 1
for r = a, #ARGV, 3 do
  local costs = {{tonumber(ARGV[r]), tonumber(ARGV[r + 1])}}
  local longest, violated = 0, 0
  bit = 1
  for i = 1, count do
    local p, cost = policies[i], costs[units[i]]
    local excess = p.total + cost - limits[i]
    if cost > 0 and excess > 0 then
      local bucket = p.oldest
      while excess > 0 and bucket <= p.current do
        excess = excess - count_of(p, bucket)
        bucket = bucket + 1
      end
      local wait = ceil((bucket + {BUCKETS}) * p.window / {BUCKETS}) - p.at
      if wait > longest then longest = wait end
      violated = violated + bit
    end
    bit = bit * 2
  end
  for i = 1, caps do
    if held[i] >= most[i] then violated = violated + bit end
    bit = bit * 2
  end
  answer[n + 1], answer[n + 2] = violated, longest
  n = n + 2
  for i = 1, count do
    local p = policies[i]
    local cost = costs[units[i]]
    if violated == 0 and cost > 0 then add(p, p.current, cost) end
    answer[n + 1], answer[n + 2], answer[n + 3] = limits[i] - p.total, 0, p.current
    if p.total > 0 then
      answer[n + 2] = ceil((p.oldest + {BUCKETS + 1}) * p.window / {BUCKETS}) - p.at
    end
    n = n + 3
  end
  for i = 1, caps do
    if violated == 0 then
      call('ZADD', KEYS[count + i], now + lease, ARGV[r + 2])
      held[i] = held[i] + 1
    end
    n = n + 1
    answer[n] = most[i] - held[i]
  end
end
for i = 1, count do save(policies[i]) end
for i = 1, caps do call('PEXPIRE', KEYS[count + i], 2 * lease) end
return answer
"""
)

_GIVE_BACK = (
    _WINDOW
    + f"""
local opened = {{}}
for a = 2, #ARGV, 4 do
  local i, bucket, amount = tonumber(ARGV[a]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local p = opened[i] or open(KEYS[i], tonumber(ARGV[a + 1]))
  opened[i] = p
  if p.total > 0 and bucket >= p.current - {BUCKETS} and bucket <= p.current then
    local count = count_of(p, bucket)
    local given = math.min(amount, count)
    set_count(p, bucket, count - given)
    p.total = p.total - given
    p.changed = p.changed or given > 0
    skip_empty(p)
  end
end
for _, p in pairs(opened) do save(p) end
"""
)

_RECORD = (
    _WINDOW
    + f"""
local opened = {{}}
for a = 2, #ARGV, 4 do
  local i, age, amount = tonumber(ARGV[a]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local p = opened[i] or open(KEYS[i], tonumber(ARGV[a + 1]))
  opened[i] = p
  local bucket = floor((p.at - age) * {BUCKETS} / p.window)
  if bucket >= p.current - {BUCKETS} then add(p, bucket, amount) end
end
for _, p in pairs(opened) do save(p) end
"""
)

_RENEW = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
for i, key in ipairs(KEYS) do
  local ends, lease = now + ARGV[2], ARGV[i + 3]
  if ARGV[3] == 'XX' then
    redis.call('ZADD', key, 'XX', ends, lease)
  else
    redis.call('ZADD', key, ends, lease)
  end
  redis.call('PEXPIRE', key, 2 * ARGV[2])
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script and what Redis calls it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        # Redis's own name for a script; nothing depends on its strength.
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


SPEND = Script(_SPEND)
"""KEYS: the policies', then the caps'. ARGV: the time in ms or '' for Redis's own, the number of
policies, the leases' length in ms; limit, window in ms and unit (1 items, 2 tokens) of each policy;
limit of each cap; items, tokens and lease of each request, which are decided in their order.
Answers with, for each request: a bit for each policy and cap that is in its way, the longest wait
in ms; for each policy what remains, when that changes, and the bucket; what remains of each cap."""

GIVE_BACK = Script(_GIVE_BACK)
"""KEYS: policies'. ARGV: the time, then for each refund: the key's number, its window in ms, the
bucket, the amount."""

RECORD = Script(_RECORD)
"""As GIVE_BACK, to add what was spent elsewhere, an age in ms in the bucket's place."""

RENEW = Script(_RENEW)
"""KEYS: the cap of each lease. ARGV: the time, the leases' length in ms, XX to leave alone what is
not there any more, each lease."""
