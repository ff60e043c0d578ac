"""Changes clients and API keys alike: on what the store holds now, at once or not at all.

Both carry up to two live secrets, so that one can replace the other while nothing fails.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message

from gateway.access import Caller
from gateway.admin_rights import matches, may_give, sees, unknown
from gateway.identity_directory import IdentityDirectory
from gateway.identity_errors import ChangedMeanwhile, DeclaredInFile, SecretsExhausted
from gateway.identity_records import (
    LIVE_SECRETS,
    ClientRecord,
    KeptSecret,
    KeyRecord,
    next_number,
)
from gateway.identity_store import Change, IdentityStore

TRIES = 4
"""Times that a change is tried while others change the same."""
RecordT = TypeVar("RecordT", ClientRecord, KeyRecord)


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a change brings with it, in the same transaction."""

    changes: Sequence[Change] = ()
    revoked: Message | None = None
    oldest: int = 0


class RecordEdits(Generic[RecordT]):
    """Finds and changes records of one kind.

    Args:
        kind: what errors call them.
        records: those of now, by their id.
        now: the moment, UTC.
    """

    def __init__(
        self,
        directory: IdentityDirectory,
        store: IdentityStore,
        *,
        kind: str,
        records: Callable[[], Mapping[str, RecordT]],
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._store = store
        self._kind = kind
        self._records: Callable[[], Mapping[str, RecordT]] = records
        self._now = now

    async def find(self, caller: Caller, record_id: str) -> RecordT:
        """One record, as new as it can be had.

        Raises:
            IdentityUnknown: there is none that the caller may know of.
        """
        await self._directory.refresh_if_possible()
        return self._visible(caller, record_id)

    async def change(
        self,
        caller: Caller,
        record_id: str,
        if_match: str | None,
        edit: Callable[[RecordT], RecordT | None],
        bringing: Callable[[RecordT, RecordT | None], Consequences] = lambda _, __: Consequences(),
    ) -> RecordT:
        """What the record became, or was before it was removed.

        Args:
            edit: gives what it shall be; None where it shall not be.
            bringing: from what it was and shall be.

        Raises:
            IdentityUnknown: there is none that the caller may know of.
            DeclaredInFile: it is not changed here.
            RevisionOutdated: it is not as `if_match` says.
            ChangedMeanwhile: others change it all the time.
        """
        for _ in range(TRIES):
            await self._directory.refresh()
            before = self._visible(caller, record_id)
            if before.declared_in == "file":
                raise DeclaredInFile(
                    f"The clients file declares this {self._kind}; it is changed there."
                )
            matches(before, if_match)
            after: RecordT | None = edit(before)
            if after is not None:
                again = {"revision": before.revision + 1, "changed_at": self._now()}
                after = after.model_copy(update=again)
            brought = bringing(before, after)
            if await self._store.commit(
                Change(before, after),
                *brought.changes,
                revoked=brought.revoked,
                oldest=brought.oldest,
            ):
                await self._directory.refresh_if_possible()
                return after or before
        raise changed_meanwhile()

    async def add_secret(
        self, caller: Caller, record_id: str, if_match: str | None, text: str
    ) -> KeptSecret:
        """Another secret, good beside the one that is there.

        Raises:
            SecretsExhausted: two are there.
            ScopeNotHeld: the record holds a scope that the caller does not.
        """

        def edit(before: RecordT) -> RecordT:
            may_give(caller, before.all_scopes)
            if len(before.secrets) >= LIVE_SECRETS:
                raise SecretsExhausted("Two secrets are live: remove the old one first.")
            added = self.kept(text, next_number(before.secrets))
            return before.model_copy(update={"secrets": (*before.secrets, added)})

        return (await self.change(caller, record_id, if_match, edit)).secrets[-1]

    def kept(self, text: str, number: int = 1) -> KeptSecret:
        """What is kept of a secret."""
        kept = self._directory.declared.pepper.hash(text)
        return KeptSecret(number=number, hash=kept, created_at=self._now())

    def _visible(self, caller: Caller, record_id: str) -> RecordT:
        record: RecordT | None = self._records().get(record_id)
        if record is None or not sees(caller, record.tenant):
            raise unknown(self._kind)
        return record


def without_secret(record: RecordT, number: int) -> RecordT:
    """The record with one of its secrets less.

    Raises:
        IdentityUnknown: there is none of that number.
    """
    left = tuple(one for one in record.secrets if one.number != number)
    if len(left) == len(record.secrets):
        raise unknown("secret")
    changed: RecordT = record.model_copy(update={"secrets": left})
    return changed


def changed_meanwhile() -> ChangedMeanwhile:
    """What is said when others were always faster."""
    return ChangedMeanwhile("Others change it at the same time; try again.", retry_after=1.0)
