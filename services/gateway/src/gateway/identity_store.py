"""Clients and API keys in the events Redis, which does not lose what it acknowledged.

Every change raises `weir:identity:revision` in the same step; gateways follow that number.
"""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import structlog
from google.protobuf.message import Message
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.identity_records import ClientRecord, KeyRecord
from servicekit.errors import Unavailable
from servicekit.event_consumer import DATA, TRACEPARENT, TYPE
from servicekit.telemetry import current_traceparent

_log = structlog.get_logger(__name__)

CLIENTS = "weir:identity:clients"
KEYS = "weir:identity:keys"
REVISION = "weir:identity:revision"
LAST_USED = "weir:identity:last_used"
BOOTSTRAPPED = "weir:identity:bootstrapped"

RecordT = TypeVar("RecordT", ClientRecord, KeyRecord)

# KEYS: revision, stream of revocations, marker, last uses, then one hash for each change.
# ARGV: marker's value ('' for none), event's type, data and traceparent (type '' for none), oldest
# event to keep; then for each change: id, version that must be there, text that shall be ('' for
# none).
_COMMIT = """
if ARGV[1] ~= '' and redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
for i = 5, #KEYS do
  local at = 6 + (i - 5) * 3
  local there = redis.call('HGET', KEYS[i], ARGV[at])
  local version = ''
  if there then
    local record = cjson.decode(there)
    version = (record['uid'] or '') .. ':' .. record['revision']
  end
  if version ~= ARGV[at + 1] then return 0 end
end
for i = 5, #KEYS do
  local at = 6 + (i - 5) * 3
  if ARGV[at + 2] == '' then
    redis.call('HDEL', KEYS[i], ARGV[at])
    redis.call('HDEL', KEYS[4], ARGV[at])
  else
    redis.call('HSET', KEYS[i], ARGV[at], ARGV[at + 2])
  end
end
if ARGV[1] ~= '' then redis.call('SET', KEYS[3], ARGV[1]) end
if ARGV[2] ~= '' then
  redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[5], '*',
    'TYPE_FIELD', ARGV[2], 'DATA_FIELD', ARGV[3], 'TRACE_FIELD', ARGV[4])
end
return redis.call('INCR', KEYS[1])
"""


class IdentityStoreUnavailable(Unavailable):
    """The events Redis is away: clients are served as they were, and cannot be changed."""

    reason = "IDENTITY_STORE_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """All that the store held at one revision."""

    revision: bytes | None = None
    """None when nothing was ever stored."""
    clients: Mapping[str, ClientRecord] = field(default_factory=dict)
    keys: Mapping[str, KeyRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One record from how it was found to how it shall be; None where there is none."""

    before: ClientRecord | KeyRecord | None
    after: ClientRecord | KeyRecord | None


class IdentityStore:
    """Reads everything at one moment; writes all of several changes or none.

    Args:
        revocations: stream that tells which tokens ended.
    """

    def __init__(self, redis: Redis, *, revocations: str) -> None:
        self._redis = redis
        self._revocations = revocations
        self._script = redis.register_script(
            _COMMIT.replace("TYPE_FIELD", _text(TYPE))
            .replace("DATA_FIELD", _text(DATA))
            .replace("TRACE_FIELD", _text(TRACEPARENT))
        )
        self._parsed: dict[bytes, ClientRecord | KeyRecord] = {}
        self._unreadable: set[str] = set()

    async def revision(self) -> bytes | None:
        """Another one after each change; None when nothing was ever stored.

        Raises:
            IdentityStoreUnavailable: Redis is away; so do all methods here.
        """
        with _store_errors():
            return cast("bytes | None", await self._redis.get(REVISION))

    async def load(self) -> StoredIdentity:
        """Everything, as it was at one revision. A record that cannot be read is left out."""
        with _store_errors():
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.get(REVISION)
                pipeline.hgetall(CLIENTS)
                pipeline.hgetall(KEYS)
                revision, clients, keys = await pipeline.execute()
        kept: dict[bytes, ClientRecord | KeyRecord] = {}
        found = StoredIdentity(
            revision,
            self._records(ClientRecord, clients, kept),
            self._records(KeyRecord, keys, kept),
        )
        # Parsing is what takes time, and most records are as they were.
        self._parsed = kept
        return found

    async def commit(
        self, *changes: Change, revoked: Message | None = None, once: str = "", oldest: int = 0
    ) -> bool:
        """Makes all of the changes, or none if something is not as it was found.

        Args:
            revoked: event that tells whose tokens ended with it.
            once: leaves this mark, which must not have been left before.
            oldest: milliseconds since the epoch; events before are forgotten.

        Returns:
            Whether the changes were made.
        """
        event: list[bytes] = [b"", b"", b""]
        if revoked is not None:
            event = [
                revoked.DESCRIPTOR.full_name.encode(),
                revoked.SerializeToString(),
                current_traceparent().encode(),
            ]
        keys = [REVISION, self._revocations, BOOTSTRAPPED, LAST_USED]
        arguments: list[bytes | str] = [once, *event, str(oldest)]
        for change in changes:
            table, identifier = _place(change)
            keys.append(table)
            text = change.after.model_dump_json() if change.after else ""
            arguments += [identifier, _version(change.before), text]
        with _store_errors():
            return bool(await self._script(keys=keys, args=arguments))

    async def bootstrapped(self) -> bool:
        """Whether the first administrator was made."""
        with _store_errors():
            return bool(await self._redis.exists(BOOTSTRAPPED))

    async def note_uses(self, moments: Mapping[str, float]) -> None:
        """Remembers when keys were last used, seconds since the epoch by their id."""
        mapping: dict[Any, Any] = dict(moments)
        with _store_errors():
            await self._redis.hset(LAST_USED, mapping=mapping)

    async def last_uses(self, key_ids: Sequence[str]) -> dict[str, float]:
        """When keys were last used; one that never was is not in it."""
        if not key_ids:
            return {}
        with _store_errors():
            found = await cast(
                "Awaitable[list[bytes | None]]", self._redis.hmget(LAST_USED, list(key_ids))
            )
        return {key: float(one) for key, one in zip(key_ids, found, strict=True) if one}

    def _records(
        self,
        kind: type[RecordT],
        found: Mapping[bytes, bytes],
        kept: dict[bytes, ClientRecord | KeyRecord],
    ) -> dict[str, RecordT]:
        records: dict[str, RecordT] = {}
        for identifier, raw in found.items():
            name = identifier.decode("utf-8", "replace")
            try:
                record = self._parsed.get(raw) or kind.model_validate_json(raw)
            except ValidationError:
                if name not in self._unreadable:
                    self._unreadable.add(name)
                    _log.error("identity_record_unreadable", kind=kind.__name__, id=name)
                continue
            kept[raw] = record
            records[name] = cast(Any, record)
        return records


def _place(change: Change) -> tuple[str, str]:
    record = change.before or change.after
    if isinstance(record, ClientRecord):
        return CLIENTS, record.client_id
    if isinstance(record, KeyRecord):
        return KEYS, record.key_id
    raise ValueError("a change of nothing")


def _version(record: ClientRecord | KeyRecord | None) -> str:
    """What the script compares; empty for no record."""
    if record is None:
        return ""
    return f"{record.uid if isinstance(record, ClientRecord) else ''}:{record.revision}"


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise IdentityStoreUnavailable(
            "Clients and keys cannot be read or changed for the moment.", retry_after=1.0
        ) from error
