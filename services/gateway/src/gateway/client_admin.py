"""Makes, changes and removes clients."""

import secrets
from collections.abc import Callable
from datetime import datetime

from gateway.access import Caller
from gateway.admin_rights import is_platform_admin, may_give, sees
from gateway.admin_shapes import ClientChangeBody, NewClientBody
from gateway.api_key_format import new_key_id
from gateway.identity_directory import IdentityDirectory
from gateway.identity_errors import IdentityExists, LastProof, TenantNotHeld
from gateway.identity_records import ClientRecord, KeptSecret, ends_tokens
from gateway.identity_store import Change, IdentityStore
from gateway.record_edits import Consequences, RecordEdits, without_secret
from gateway.token_revocation import revocation_of_client
from servicekit.errors import FieldViolation, InvalidInput
from servicekit.identifiers import new_id

_SECRET_BYTES = 32


class ClientAdmin:
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
        self._clients = RecordEdits(
            directory,
            store,
            kind="client",
            records=lambda: directory.snapshot.clients,
            now=now,
        )

    async def find(self, caller: Caller, client_id: str) -> ClientRecord:
        """A client.

        Raises:
            IdentityUnknown: there is none that the caller may know of.
        """
        return await self._clients.find(caller, client_id)

    async def create(self, caller: Caller, body: NewClientBody) -> tuple[ClientRecord, str]:
        """A new client and its secret, which is empty where none was asked for.

        Raises:
            TenantNotHeld: it would be of a tenant that is not the caller's.
            ScopeNotHeld: it would hold a scope that the caller does not.
            IdentityExists: there is a client of that id.
            IdentityStoreUnavailable: clients cannot be changed now; so does every act here.
        """
        tenant = body.tenant or caller.tenant
        if not sees(caller, tenant):
            raise TenantNotHeld("You can make clients of your own tenant alone.")
        if body.client_id and not is_platform_admin(caller):
            raise _wrong("client_id", "only administrators of the platform choose it")
        secret = secrets.token_urlsafe(_SECRET_BYTES) if body.with_secret else ""
        now = self._now()
        record = ClientRecord(
            client_id=body.client_id or f"client-{new_key_id()}",
            uid=str(new_id()),
            tenant=tenant,
            name=body.name or "",
            secrets=(self._clients.kept(secret),) if secret else (),
            public_keys=tuple(body.public_keys),
            scopes=tuple(body.scopes),
            roles=tuple(body.roles),
            quotas=body.quotas,
            concurrency=body.concurrency,
            disabled=body.disabled,
            revision=1,
            created_at=now,
            changed_at=now,
        )
        _check(record)
        may_give(caller, record.all_scopes)
        is_there = record.client_id in self._directory.snapshot.clients
        if is_there or not await self._store.commit(Change(None, record)):
            raise IdentityExists(f"There is a client {record.client_id} already.")
        await self._directory.refresh_if_possible()
        return record, secret

    async def change(
        self, caller: Caller, client_id: str, body: ClientChangeBody, if_match: str | None
    ) -> ClientRecord:
        """The client as it is with the change.

        Raises:
            ScopeNotHeld: it would gain a scope that the caller does not hold.
            RevisionOutdated: it is not as `if_match` says.
        """
        update = {name: getattr(body, name) for name in body.model_fields_set}
        update |= {
            name: tuple(update[name])
            for name in ("scopes", "roles", "public_keys")
            if name in update
        }
        if "name" in update:
            update["name"] = update["name"] or ""

        def edit(before: ClientRecord) -> ClientRecord:
            after = before.model_copy(update=update)
            _check(after)
            may_give(caller, after.all_scopes - before.all_scopes)
            if any(key not in before.public_keys for key in after.public_keys):
                may_give(caller, after.all_scopes)
            return after

        return await self._clients.change(caller, client_id, if_match, edit, self._ended)

    async def remove(self, caller: Caller, client_id: str, if_match: str | None) -> None:
        """Ends the client, its API keys and its tokens."""
        await self._clients.change(caller, client_id, if_match, lambda _: None, self._ended)

    async def add_secret(
        self, caller: Caller, client_id: str, if_match: str | None
    ) -> tuple[KeptSecret, str]:
        """Another secret, good beside the one that is there.

        Raises:
            SecretsExhausted: two are there.
            ScopeNotHeld: the client holds a scope that the caller does not.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        return await self._clients.add_secret(caller, client_id, if_match, secret), secret

    async def remove_secret(
        self, caller: Caller, client_id: str, number: int, *, revoke_tokens: bool
    ) -> None:
        """Ends one of the live secrets.

        Args:
            revoke_tokens: whether tokens that the client got before end as well.

        Raises:
            IdentityUnknown: there is none of that number.
            LastProof: the client could not prove itself any more.
        """

        def edit(before: ClientRecord) -> ClientRecord:
            after = without_secret(before, number)
            if not after.secrets and not after.public_keys:
                raise LastProof("It is the client's last secret: disable or remove the client.")
            return after

        def ended(before: ClientRecord, after: ClientRecord | None) -> Consequences:
            return self._ended(before, after, tokens=revoke_tokens)

        await self._clients.change(caller, client_id, None, edit, ended)

    def _ended(
        self, before: ClientRecord, after: ClientRecord | None, *, tokens: bool = False
    ) -> Consequences:
        """The keys that end with their client, and the tokens with what they were given for."""
        keys = self._directory.keys_of(before) if after is None else []
        changes = [Change(key, None) for key in keys]
        if not tokens and not ends_tokens(before, after):
            return Consequences(changes)
        event, oldest = revocation_of_client(before.client_id)
        return Consequences(changes, event, oldest)


def _check(record: ClientRecord) -> None:
    if not record.scopes and not record.roles:
        raise _wrong("scopes", "name a scope, or a role in `roles`")
    kids = [key["kid"] for key in record.public_keys]
    if len(set(kids)) < len(kids):
        raise _wrong("public_keys", "two have the same kid")


def _wrong(field: str, why: str) -> InvalidInput:
    return InvalidInput("The client cannot be so.", violations=[FieldViolation(field, why)])
