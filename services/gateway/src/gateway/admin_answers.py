"""What the administration of clients and API keys answers with."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.identity_records import ClientRecord, KeptSecret, KeyRecord
from gateway.quota_entries import ConcurrencyEntry, QuotaEntry

_KEY_ID = "Zs3kQ9dXb2Lm"
_API_KEY = f"weir_live_{_KEY_ID}_…"
DeclaredIn = Literal["file", "api"]


class LiveSecret(BaseModel):
    """A secret that can be used; it itself is kept nowhere."""

    number: int = Field(examples=[1])
    created_at: datetime | None = Field(description="null for one of the clients file.")


class ManagedClient(BaseModel):
    """A client."""

    client_id: str = Field(examples=["client-8Fk2mQ0sLp3Z"])
    name: str = Field(examples=["Shop backend"])
    tenant: str = Field(examples=["acme"])
    scopes: list[str] = Field(examples=[[]], description="Beside what its roles allow.")
    roles: list[str] = Field(examples=[["predictor"]])
    allowed: list[str] = Field(
        examples=[["feedback:write", "models:predict", "models:read"]],
        description="All scopes that it holds, by its roles and beside them.",
    )
    quotas: list[QuotaEntry] = Field(description="Empty: the gateway's defaults.")
    concurrency: ConcurrencyEntry | None
    public_keys: list[dict[str, Any]]
    disabled: bool
    secrets: list[LiveSecret]
    declared_in: DeclaredIn = Field(description="One of the file is changed there alone.")
    revision: int = Field(examples=[1], description="Counts its changes; 0 in the file.")
    created_at: datetime | None
    changed_at: datetime | None


class NewClient(ManagedClient):
    """A client that was just made."""

    client_secret: str | None = Field(
        examples=["q1Yg…"], description="Shown this once; null where none was asked for."
    )


class ManagedClients(BaseModel):
    """A page, by id."""

    clients: list[ManagedClient]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class NewSecret(LiveSecret):
    """A secret that was just made."""

    client_secret: str = Field(examples=["q1Yg…"], description="Shown this once.")


class ManagedKey(BaseModel):
    """An API key."""

    key_id: str = Field(examples=[_KEY_ID])
    name: str = Field(examples=["Nightly batch"])
    client_id: str = Field(examples=["shop"])
    tenant: str = Field(examples=["acme"])
    scopes: list[str] = Field(examples=[["models:predict"]])
    quotas: list[QuotaEntry]
    concurrency: ConcurrencyEntry | None
    expires_at: datetime | None
    disabled: bool
    secrets: list[LiveSecret]
    last_used_at: datetime | None = Field(
        description="To the minute; null when it never was, or while that cannot be read."
    )
    declared_in: DeclaredIn
    revision: int = Field(examples=[1])
    created_at: datetime | None
    changed_at: datetime | None


class NewKey(ManagedKey):
    """An API key that was just made."""

    api_key: str = Field(examples=[_API_KEY], description="Shown this once.")


class ManagedKeys(BaseModel):
    """A page, by id."""

    keys: list[ManagedKey]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class NewKeySecret(LiveSecret):
    """Another secret of an API key: a text that is used in the place of the old one."""

    api_key: str = Field(examples=[_API_KEY], description="Shown this once.")


def client_fields(record: ClientRecord) -> dict[str, Any]:
    """A client's fields as an answer has them: no hash among them."""
    return {
        "client_id": record.client_id,
        "name": record.name,
        "tenant": record.tenant,
        "scopes": sorted(record.scopes),
        "roles": list(record.roles),
        "allowed": sorted(record.all_scopes),
        "quotas": record.quotas,
        "concurrency": record.concurrency,
        "public_keys": list(record.public_keys),
        "disabled": record.disabled,
        "secrets": _live(record.secrets),
        "declared_in": record.declared_in,
        "revision": record.revision,
        "created_at": record.created_at,
        "changed_at": record.changed_at,
    }


def key_fields(record: KeyRecord, last_used_at: datetime | None) -> dict[str, Any]:
    """An API key's fields as an answer has them: no hash among them."""
    return {
        "key_id": record.key_id,
        "name": record.name,
        "client_id": record.client_id,
        "tenant": record.tenant,
        "scopes": sorted(record.scopes),
        "quotas": record.quotas,
        "concurrency": record.concurrency,
        "expires_at": record.expires_at,
        "disabled": record.disabled,
        "secrets": _live(record.secrets),
        "last_used_at": last_used_at,
        "declared_in": record.declared_in,
        "revision": record.revision,
        "created_at": record.created_at,
        "changed_at": record.changed_at,
    }


def _live(secrets: tuple[KeptSecret, ...]) -> list[LiveSecret]:
    return [LiveSecret(number=one.number, created_at=one.created_at) for one in secrets]
