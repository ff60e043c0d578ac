"""Clients and API keys as they are kept: what the admin API makes, and what the file declares."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gateway.client_entries import ClientEntry, KeyEntry
from gateway.domain import GRANT_TYPES
from gateway.quota_entries import QuotaFields
from gateway.roles import ROLES, scopes_of

LIVE_SECRETS = 2
"""Of one client or key at most: the one in use and the one that replaces it."""


_READ_LENIENTLY = ConfigDict(frozen=True, extra="ignore")
"""What a newer release of the gateway wrote beside what is known here is no fault."""


class KeptSecret(BaseModel):
    """A live secret, by its hash."""

    model_config = _READ_LENIENTLY

    number: int
    hash: str
    created_at: datetime | None = None


class ClientRecord(QuotaFields):
    """A client."""

    model_config = _READ_LENIENTLY

    client_id: str
    uid: str = ""
    """Another one for each client that ever had the id; empty for one of the file."""
    tenant: str
    name: str = ""
    secrets: tuple[KeptSecret, ...] = ()
    public_keys: tuple[dict[str, Any], ...] = ()
    grant_types: tuple[str, ...] = tuple(sorted(GRANT_TYPES))
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    disabled: bool = False
    revision: int = 0
    """Counts its changes from 1; 0 for one of the file."""
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def declared_in(self) -> Literal["file", "api"]:
        """Where it can be changed."""
        return "api" if self.revision else "file"

    @property
    def etag(self) -> str:
        """Another one after each change (RFC 9110, 8.8.3)."""
        return f'"{self.revision}-{self.uid}"' if self.uid else f'"{self.revision}"'

    @property
    def all_scopes(self) -> frozenset[str]:
        """What it may do, by its roles and beside them.

        A role that this release does not know allows nothing.
        """
        return scopes_of((role for role in self.roles if role in ROLES), self.scopes)


class KeyRecord(QuotaFields):
    """An API key."""

    model_config = _READ_LENIENTLY

    key_id: str
    client_id: str
    client_uid: str = ""
    """Of the client that it was made for: another one of that id does not inherit it."""
    tenant: str
    name: str = ""
    secrets: tuple[KeptSecret, ...] = ()
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    disabled: bool = False
    revision: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def all_scopes(self) -> frozenset[str]:
        """What it may do, as long as its client may."""
        return frozenset(self.scopes)

    @property
    def declared_in(self) -> Literal["file", "api"]:
        """Where it can be changed."""
        return "api" if self.revision else "file"

    @property
    def etag(self) -> str:
        """Another one after each change (RFC 9110, 8.8.3)."""
        return f'"{self.revision}"'


def declared_client(entry: ClientEntry) -> ClientRecord:
    """A client of the file."""
    return ClientRecord(
        client_id=entry.client_id,
        tenant=entry.tenant,
        secrets=_numbered(entry.secret_hashes),
        public_keys=tuple(entry.public_keys),
        grant_types=tuple(entry.grant_types),
        scopes=tuple(entry.scopes),
        roles=tuple(entry.roles),
        quotas=entry.quotas,
        concurrency=entry.concurrency,
        disabled=entry.disabled,
    )


def declared_key(entry: KeyEntry, tenant: str) -> KeyRecord:
    """An API key of the file."""
    return KeyRecord(
        key_id=entry.key_id,
        client_id=entry.client_id,
        tenant=tenant,
        name=entry.name,
        secrets=_numbered(entry.secret_hashes),
        scopes=tuple(entry.scopes),
        quotas=entry.quotas,
        concurrency=entry.concurrency,
        expires_at=entry.expires_at,
        disabled=entry.disabled,
    )


def next_number(secrets: Sequence[KeptSecret]) -> int:
    """The number of a further secret: none of those that are there has it."""
    return 1 + max((one.number for one in secrets), default=0)


def ends_tokens(before: ClientRecord, after: ClientRecord | None) -> bool:
    """Whether tokens that the client got before must end with this change of the clients file.

    They must when the client is gone or disabled, or when nothing is left that it proved itself
    with: then its secret leaked. A secret that goes while another stays was merely replaced.
    """
    if before.disabled:
        return False
    if after is None or after.disabled or after.tenant != before.tenant:
        return True
    proofs = _proofs(before)
    return bool(proofs) and not proofs & _proofs(after)


def _proofs(record: ClientRecord) -> set[str]:
    return {secret.hash for secret in record.secrets} | {key["kid"] for key in record.public_keys}


def _numbered(hashes: list[str]) -> tuple[KeptSecret, ...]:
    return tuple(KeptSecret(number=number, hash=one) for number, one in enumerate(hashes, 1))
