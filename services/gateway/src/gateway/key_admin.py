"""Makes, changes and removes API keys."""

from collections.abc import Callable
from datetime import UTC, datetime

from gateway.access import Caller
from gateway.admin_rights import may_give, sees, unknown
from gateway.admin_shapes import KeyChangeBody, NewKeyBody
from gateway.api_key_format import new_api_key, new_key_id
from gateway.identity_directory import IdentityDirectory
from gateway.identity_errors import LastProof
from gateway.identity_records import ClientRecord, KeptSecret, KeyRecord
from gateway.identity_store import Change, IdentityStore, IdentityStoreUnavailable
from gateway.record_edits import TRIES, RecordEdits, changed_meanwhile, without_secret
from servicekit.errors import FieldViolation, InvalidInput


class KeyAdmin:
    """Each act is decided on what the store holds now, and done at once or not at all.

    Args:
        now: the moment, UTC.
    """

    def __init__(
        self, directory: IdentityDirectory, store: IdentityStore, *, now: Callable[[], datetime]
    ) -> None:
        self._directory = directory
        self._store = store
        self._now = now
        self._keys = RecordEdits(
            directory, store, kind="key", records=lambda: directory.snapshot.keys, now=now
        )

    async def find(self, caller: Caller, key_id: str) -> KeyRecord:
        """An API key.

        Raises:
            IdentityUnknown: there is none that the caller may know of.
        """
        return await self._keys.find(caller, key_id)

    async def last_uses(self, key_ids: list[str]) -> dict[str, datetime]:
        """When keys were last used, of those of which that is known."""
        try:
            moments = await self._store.last_uses(key_ids)
        except IdentityStoreUnavailable:
            return {}
        return {key: datetime.fromtimestamp(moment, UTC) for key, moment in moments.items()}

    async def create(self, caller: Caller, body: NewKeyBody) -> tuple[KeyRecord, str]:
        """A new key and its text.

        Raises:
            IdentityUnknown: there is no such client.
            ScopeNotHeld: it would hold a scope that the caller does not.
            IdentityStoreUnavailable: keys cannot be changed now; so does every act here.
        """
        for _ in range(TRIES):
            await self._directory.refresh()
            owner = self._owner(caller, body.client_id or caller.client_id)
            new = new_api_key(new_key_id())
            now = self._now()
            record = KeyRecord(
                key_id=new.key_id,
                client_id=owner.client_id,
                client_uid=owner.uid,
                tenant=owner.tenant,
                name=body.name or "",
                secrets=(self._keys.kept(new.text),),
                scopes=tuple(body.scopes),
                quotas=body.quotas,
                concurrency=body.concurrency,
                expires_at=body.expires_at,
                disabled=body.disabled,
                revision=1,
                created_at=now,
                changed_at=now,
            )
            self._check(record, owner)
            if body.expires_at is not None and body.expires_at <= now:
                raise _wrong("expires_at", "is over")
            may_give(caller, record.scopes)
            # The client must be as it was looked at: one that is removed leaves no key behind.
            same = [Change(owner, owner)] if owner.declared_in == "api" else []
            if await self._store.commit(Change(None, record), *same):
                await self._directory.refresh_if_possible()
                return record, new.text
        raise changed_meanwhile()

    async def change(
        self, caller: Caller, key_id: str, body: KeyChangeBody, if_match: str | None
    ) -> KeyRecord:
        """The key as it is with the change.

        Raises:
            ScopeNotHeld: it would gain a scope that the caller does not hold.
            RevisionOutdated: it is not as `if_match` says.
        """
        update = {name: getattr(body, name) for name in body.model_fields_set}
        if "scopes" in update:
            update["scopes"] = tuple(update["scopes"])
        if "name" in update:
            update["name"] = update["name"] or ""

        def edit(before: KeyRecord) -> KeyRecord:
            after = before.model_copy(update=update)
            self._check(after, self._owner(caller, before.client_id))
            may_give(caller, set(after.scopes) - set(before.scopes))
            if _expires_later(before, after):
                # Life that is given to a key is given to its scopes.
                may_give(caller, after.scopes)
            return after

        return await self._keys.change(caller, key_id, if_match, edit)

    async def remove(self, caller: Caller, key_id: str, if_match: str | None) -> None:
        """Ends the key."""
        await self._keys.change(caller, key_id, if_match, lambda _: None)

    async def add_secret(
        self, caller: Caller, key_id: str, if_match: str | None
    ) -> tuple[KeptSecret, str]:
        """Another text of the key, good beside the one that is there.

        Raises:
            SecretsExhausted: two are there.
            ScopeNotHeld: the key holds a scope that the caller does not.
        """
        new = new_api_key(key_id)
        return await self._keys.add_secret(caller, key_id, if_match, new.text), new.text

    async def remove_secret(self, caller: Caller, key_id: str, number: int) -> None:
        """Ends one of the live secrets.

        Raises:
            IdentityUnknown: there is none of that number.
            LastProof: it is the last.
        """

        def edit(before: KeyRecord) -> KeyRecord:
            after = without_secret(before, number)
            if not after.secrets:
                raise LastProof("It is the key's last secret: disable or remove the key.")
            return after

        await self._keys.change(caller, key_id, None, edit)

    def _owner(self, caller: Caller, client_id: str) -> ClientRecord:
        owner = self._directory.snapshot.clients.get(client_id)
        if owner is None or not sees(caller, owner.tenant):
            raise unknown("client")
        return owner

    def _check(self, record: KeyRecord, owner: ClientRecord) -> None:
        if not record.scopes:
            raise _wrong("scopes", "name at least one")
        beyond = sorted(set(record.scopes) - owner.all_scopes)
        if beyond:
            raise _wrong("scopes", f"its client does not hold {', '.join(beyond)}")


def _expires_later(before: KeyRecord, after: KeyRecord) -> bool:
    if before.expires_at is None:
        return False
    return after.expires_at is None or after.expires_at > before.expires_at


def _wrong(field: str, why: str) -> InvalidInput:
    return InvalidInput("The key cannot be so.", violations=[FieldViolation(field, why)])
