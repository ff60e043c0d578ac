"""The clients and keys of both sources as one, and what the gateway's decisions need of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.client_entries import ClientsFile, TenantEntry
from gateway.client_registry import ApiKey
from gateway.domain import Client, Keeping, QuotaPolicy, QuotaSubject
from gateway.identity_records import ClientRecord, KeyRecord, declared_client, declared_key
from gateway.identity_store import StoredIdentity


@dataclass(frozen=True, slots=True)
class IdentitySnapshot:
    """Everybody at one moment."""

    clients: Mapping[str, ClientRecord] = field(default_factory=dict)
    """All of them, those that are disabled, too, in the order of their ids."""
    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
    callers: Mapping[str, Client] = field(default_factory=dict)
    """The clients as they come to the gateway's doors."""
    usable_keys: Mapping[str, ApiKey] = field(default_factory=dict)
    declared_twice: frozenset[str] = frozenset()
    """Ids of the store that the file has as well: the file's count."""


def merged(
    declared: ClientsFile, stored: StoredIdentity, defaults: tuple[QuotaPolicy, ...]
) -> IdentitySnapshot:
    """The snapshot of a file and a store.

    Args:
        defaults: quotas of a client that states none.
    """
    file_clients = {entry.client_id: declared_client(entry) for entry in declared.clients}
    file_keys = {
        entry.key_id: declared_key(entry, file_clients[entry.client_id].tenant)
        for entry in declared.keys
    }
    clients = {**stored.clients, **file_clients}
    # A key lives by the client that it was made for, and ends with it.
    stored_keys = {
        key_id: key
        for key_id, key in stored.keys.items()
        if (owner := clients.get(key.client_id))
        and (owner.uid, owner.tenant) == (key.client_uid, key.tenant)
    }
    keys = {**stored_keys, **file_keys}
    nothing = TenantEntry()

    def tenant_of(record: ClientRecord) -> TenantEntry:
        return declared.tenants.get(record.tenant, nothing)

    callers = {
        client_id: _caller(record, tenant_of(record), defaults)
        for client_id, record in clients.items()
    }
    return IdentitySnapshot(
        clients=dict(sorted(clients.items())),
        keys=dict(sorted(keys.items())),
        callers=callers,
        usable_keys={
            key_id: _usable(key, callers[owner.client_id], owner, tenant_of(owner), defaults)
            for key_id, key in keys.items()
            if not key.disabled and not (owner := clients[key.client_id]).disabled
        },
        declared_twice=frozenset(
            (stored.clients.keys() & file_clients.keys()) | (stored.keys.keys() & file_keys.keys())
        ),
    )


def _caller(record: ClientRecord, tenant: TenantEntry, defaults: tuple[QuotaPolicy, ...]) -> Client:
    # Who comes without a key has what each key has, as if it were the client's one key.
    without_key = tuple(replace(policy, subject=QuotaSubject.CLIENT) for policy in defaults)
    return Client(
        client_id=record.client_id,
        tenant=record.tenant,
        secret_hashes=tuple(secret.hash for secret in record.secrets),
        scopes=record.all_scopes,
        quotas=(record.policies(QuotaSubject.CLIENT) or without_key)
        + tenant.policies(QuotaSubject.TENANT),
        concurrency=record.caps(QuotaSubject.CLIENT) + tenant.caps(QuotaSubject.TENANT),
        keeping=Keeping(tenant.input, tenant.retention_class),
        roles=record.roles,
        public_keys=record.public_keys,
        grant_types=frozenset(record.grant_types),
        disabled=record.disabled,
    )


def _usable(
    key: KeyRecord,
    client: Client,
    owner: ClientRecord,
    tenant: TenantEntry,
    defaults: tuple[QuotaPolicy, ...],
) -> ApiKey:
    of_key = key.policies(QuotaSubject.KEY)
    # What is stated for this key counts before what is stated for each key of the client.
    names = {policy.name for policy in of_key}
    of_client = (
        policy for policy in owner.policies(QuotaSubject.CLIENT) if policy.name not in names
    )
    return ApiKey(
        client=replace(
            client,
            # What its client lost, the key has lost as well.
            scopes=client.scopes & set(key.scopes),
            key_id=key.key_id,
            quotas=((*of_key, *of_client) or defaults) + tenant.policies(QuotaSubject.TENANT),
            concurrency=key.caps(QuotaSubject.KEY) + client.concurrency,
        ),
        secret_hashes=tuple(secret.hash for secret in key.secrets),
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
    )
