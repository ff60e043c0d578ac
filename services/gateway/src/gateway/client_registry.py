"""The clients that are declared in a file: who they are, what they may do, how they prove it."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gateway.domain import SCOPES, Client, InputKeeping, Keeping, QuotaPolicy

HASH_PREFIX = "hmac-sha256:"
_DUMMY_HASH = HASH_PREFIX + "0" * 64

Name = Annotated[str, Field(pattern=re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"))]


class ClientsFileInvalid(Exception):
    """The clients file, or the pepper, cannot be used; the message names the entry."""


class QuotaEntry(BaseModel):
    """A quota as the file states it."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(gt=0, le=1_000_000_000)
    window_seconds: int = Field(gt=0, le=31 * 86_400)


class ClientEntry(BaseModel):
    """A client as the file states it."""

    model_config = ConfigDict(extra="forbid")

    client_id: Name
    tenant: Name
    secret_hashes: list[Annotated[str, Field(pattern=rf"^{HASH_PREFIX}[0-9a-f]{{64}}$")]] = Field(
        min_length=1
    )
    scopes: list[str] = Field(min_length=1)
    quotas: list[QuotaEntry] = Field(default=[], max_length=8)

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: list[str]) -> list[str]:
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown:
            raise ValueError(f"no such scope: {', '.join(unknown)}; known: {', '.join(SCOPES)}")
        return scopes

    @field_validator("quotas")
    @classmethod
    def _one_per_window(cls, quotas: list[QuotaEntry]) -> list[QuotaEntry]:
        if len({quota.window_seconds for quota in quotas}) < len(quotas):
            raise ValueError("two quotas have the same window_seconds")
        return quotas


class TenantEntry(BaseModel):
    """How the records of a tenant's predictions are kept, as the file states it."""

    model_config = ConfigDict(extra="forbid")

    input: InputKeeping = InputKeeping.NOTHING
    retention_class: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,31})?$")] = ""


class ClientsFile(BaseModel):
    """The whole file; a tenant that it does not name has nothing of its inputs kept."""

    model_config = ConfigDict(extra="forbid")

    tenants: dict[Name, TenantEntry] = {}
    clients: list[ClientEntry] = []


class ClientRegistry:
    """The clients by their id, fixed for the life of the process."""

    def __init__(self, clients: Iterable[Client], pepper: bytes) -> None:
        self._clients = {client.client_id: client for client in clients}
        self._pepper = pepper

    def find(self, client_id: str) -> Client | None:
        """The client of that id."""
        return self._clients.get(client_id)

    def authenticate(self, client_id: str, secret: str) -> Client | None:
        """The client if the secret is one of its own.

        An unknown client costs the same work as a wrong secret, so that the time taken tells
        nobody which ids exist.
        """
        client = self._clients.get(client_id)
        expected = client.secret_hashes if client else (_DUMMY_HASH,)
        offered = hash_secret(self._pepper, secret)
        matches = [hmac.compare_digest(offered, known) for known in expected]
        return client if any(matches) else None


def hash_secret(pepper: bytes, secret: str) -> str:
    """What the file keeps of a secret.

    Secrets are random, so a fast keyed hash is enough: there is no dictionary to try.
    """
    mac = hmac.new(pepper, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return HASH_PREFIX + mac.hexdigest()


def load_clients(
    file: Path, pepper: bytes, default_quotas: tuple[QuotaPolicy, ...]
) -> ClientRegistry:
    """Reads and checks the clients file.

    Raises:
        ClientsFileInvalid: it cannot be read or a client in it is wrong.
    """
    content = parse_clients(file)
    keepings = {
        tenant: Keeping(entry.input, entry.retention_class)
        for tenant, entry in content.tenants.items()
    }
    clients = (
        _client(entry, default_quotas, keepings.get(entry.tenant, Keeping()))
        for entry in content.clients
    )
    return ClientRegistry(clients, pepper)


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
    seen: set[str] = set()
    for entry in parsed.clients:
        if entry.client_id in seen:
            raise ClientsFileInvalid(f"{file}: the client {entry.client_id} is there twice")
        seen.add(entry.client_id)
    return parsed


def load_pepper(file: Path) -> bytes:
    """Reads the key of the secrets' hashes.

    Raises:
        ClientsFileInvalid: the file is missing or holds less than 32 bytes of hex.
    """
    try:
        pepper = bytes.fromhex(file.read_text("ascii").strip())
    except OSError as error:
        raise ClientsFileInvalid(f"the pepper cannot be read: {error}") from error
    except ValueError as error:
        raise ClientsFileInvalid(f"{file} is not hex") from error
    if len(pepper) < 32:
        raise ClientsFileInvalid(f"{file} holds less than 32 bytes")
    return pepper


def _client(
    entry: ClientEntry, default_quotas: tuple[QuotaPolicy, ...], keeping: Keeping
) -> Client:
    quotas = tuple(QuotaPolicy(quota.limit, quota.window_seconds) for quota in entry.quotas)
    return Client(
        client_id=entry.client_id,
        tenant=entry.tenant,
        secret_hashes=tuple(entry.secret_hashes),
        scopes=frozenset(entry.scopes),
        quotas=quotas or default_quotas,
        keeping=keeping,
    )


def _first_fault(error: ValidationError, content: Any) -> str:
    """One line that names the entry; values stay out of it, for one may be a pasted secret."""
    fault = error.errors(include_input=False, include_url=False)[0]
    path = [str(part) for part in fault["loc"]]
    name = ""
    if len(fault["loc"]) > 1 and isinstance(index := fault["loc"][1], int):
        entry = content["clients"][index]
        if isinstance(entry, dict) and isinstance(entry.get("client_id"), str):
            name = f" (client_id {entry['client_id']!r})"
    return f"{'.'.join(path)}{name}: {fault['msg']}"
