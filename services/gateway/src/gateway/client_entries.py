"""The clients file's shape: who there is, what they may do, how they prove it."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gateway.api_key_format import KEY_ID
from gateway.domain import GRANT_TYPES, SCOPES, InputKeeping
from gateway.public_keys import public_jwk
from gateway.quota_entries import QuotaFields
from gateway.roles import ROLES, scopes_of
from gateway.secret_hashes import HASH_PATTERN


class ClientsFileInvalid(Exception):
    """The clients file cannot be used; the message names the entry."""


def _known_scope(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError(f"no such scope: {scope}; known: {', '.join(SCOPES)}")
    return scope


def _known_role(role: str) -> str:
    if role not in ROLES:
        raise ValueError(f"no such role: {role}; known: {', '.join(ROLES)}")
    return role


def _known_grant_type(grant_type: str) -> str:
    if grant_type not in GRANT_TYPES:
        raise ValueError(f"no such grant type; known: {', '.join(sorted(GRANT_TYPES))}")
    return grant_type


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Scope = Annotated[str, AfterValidator(_known_scope)]
Role = Annotated[str, AfterValidator(_known_role)]
PublicKey = Annotated[dict[str, Any], AfterValidator(public_jwk)]
GrantType = Annotated[str, AfterValidator(_known_grant_type)]
SecretHash = Annotated[str, Field(pattern=HASH_PATTERN)]


class ClientEntry(QuotaFields):
    """A client as the file states it.

    One without secrets and public keys gets no access tokens; it may have API keys.
    """

    model_config = ConfigDict(extra="forbid")

    client_id: Name
    tenant: Name
    secret_hashes: list[SecretHash] = Field(default=[])
    public_keys: list[PublicKey] = Field(default=[], max_length=8)
    grant_types: list[GrantType] = sorted(GRANT_TYPES)
    scopes: list[Scope] = Field(default=[])
    roles: list[Role] = Field(default=[])
    disabled: bool = False

    @model_validator(mode="after")
    def _may_something(self) -> "ClientEntry":
        if not self.scopes and not self.roles:
            raise ValueError("names neither a scope nor a role")
        return self


class KeyEntry(QuotaFields):
    """An API key of a client of the file."""

    model_config = ConfigDict(extra="forbid")

    key_id: Annotated[str, Field(pattern=KEY_ID)]
    client_id: Name
    name: str = Field(default="", max_length=128)
    secret_hashes: list[SecretHash] = Field(min_length=1)
    scopes: list[Scope] = Field(min_length=1)
    expires_at: AwareDatetime | None = None
    disabled: bool = False


class TenantEntry(QuotaFields):
    """What holds for all clients of a tenant: its quotas, and how its predictions are kept."""

    model_config = ConfigDict(extra="forbid")

    input: InputKeeping = InputKeeping.NOTHING
    retention_class: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,31})?$")] = ""


class ClientsFile(BaseModel):
    """The whole file; a tenant that it does not name has nothing of its inputs kept."""

    model_config = ConfigDict(extra="forbid")

    tenants: dict[Name, TenantEntry] = {}
    clients: list[ClientEntry] = []
    keys: list[KeyEntry] = []


def parse_clients(file: Path) -> ClientsFile:
    """The file's content.

    Raises:
        ClientsFileInvalid: it cannot be read or an entry is wrong.
    """
    try:
        content: Any = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ClientsFileInvalid(f"the clients file cannot be read: {error}") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise ClientsFileInvalid(f"{file} is not YAML{where}") from error
    try:
        parsed = ClientsFile.model_validate(content if content is not None else {})
    except ValidationError as error:
        raise ClientsFileInvalid(f"{file}: {_first_fault(error, content)}") from error
    fault = contradiction(parsed)
    if fault:
        raise ClientsFileInvalid(f"{file}: {fault}")
    return parsed


def contradiction(content: ClientsFile) -> str:
    """What entries that are good each by itself say against each other; empty when nothing."""
    clients: dict[str, ClientEntry] = {}
    for entry in content.clients:
        if entry.client_id in clients:
            return f"the client {entry.client_id} is there twice"
        clients[entry.client_id] = entry
    seen: set[str] = set()
    for key in content.keys:
        if key.key_id in seen:
            return f"the key {key.key_id} is there twice"
        seen.add(key.key_id)
        owner = clients.get(key.client_id)
        if owner is None:
            return f"the key {key.key_id} is of a client that is not there: {key.client_id}"
        beyond = set(key.scopes) - scopes_of(owner.roles, owner.scopes)
        if beyond:
            scopes = ", ".join(sorted(beyond))
            return f"the key {key.key_id} has scopes that its client has not: {scopes}"
    return ""


def _first_fault(error: ValidationError, content: Any) -> str:
    """One line that names the entry; values stay out of it, for one may be a pasted secret."""
    fault = error.errors(include_input=False, include_url=False)[0]
    path = [str(part) for part in fault["loc"]]
    name = ""
    if len(fault["loc"]) > 1 and isinstance(index := fault["loc"][1], int):
        kind = str(fault["loc"][0])
        entry = content[kind][index]
        known_by = "key_id" if kind == "keys" else "client_id"
        if isinstance(entry, dict) and isinstance(entry.get(known_by), str):
            name = f" ({known_by} {entry[known_by]!r})"
    return f"{'.'.join(path)}{name}: {fault['msg']}"
