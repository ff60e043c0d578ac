"""The file of external issuers whose tokens are taken, and for what."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gateway.domain import SCOPES
from gateway.quota_entries import QuotaFields
from gateway.roles import ROLES, scopes_of

Name = Annotated[str, Field(pattern=re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))]
Text = Annotated[str, Field(min_length=1, max_length=256)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""With a public key, all of them: a shared secret would let whoever verifies sign, too."""


class TrustedIssuersFileInvalid(Exception):
    """The file cannot be used; the message names the entry."""


class Grant(BaseModel):
    """Scopes for those whose token says something."""

    model_config = ConfigDict(extra="forbid")

    claim: Text | list[Text] = Field(
        description="The claim's name; a list leads into objects: [realm_access, roles]."
    )
    value: Text | None = Field(
        default=None,
        description="What the claim must be, or hold: a list, or a text of words apart by spaces. "
        "Without it the claim need only be there.",
    )
    scopes: list[str] = []
    roles: list[str] = Field(default=[], description="Each stands for its scopes.")

    @model_validator(mode="after")
    def _grants_something(self) -> Self:
        if unknown := sorted(set(self.roles) - set(ROLES)):
            raise ValueError(f"no such role: {', '.join(unknown)}; known: {', '.join(ROLES)}")
        if not self.scopes and not self.roles:
            raise ValueError("a grant needs scopes or roles")
        return self

    @property
    def allows(self) -> frozenset[str]:
        """All scopes that it stands for."""
        return scopes_of(self.roles, self.scopes)

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: list[str]) -> list[str]:
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise ValueError(f"no such scope: {', '.join(unknown)}; known: {', '.join(SCOPES)}")
        return scopes


class IssuerEntry(QuotaFields):
    """An issuer, what its tokens must look like, and whom they make their bearers."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="Its callers are clients called `<name>:<sub>`.")
    issuer: str = Field(description="The `iss` of its tokens, to the letter.")
    audience: Text = Field(description="The `aud` that its tokens must hold.")
    algorithms: list[Algorithm] = Field(default=["RS256"], min_length=1)
    jwks_uri: str | None = Field(
        default=None, description="Where its keys are; without it OpenID discovery tells."
    )
    tenant: Name = Field(description="The tenant that its callers belong to.")
    longest_life_seconds: int = Field(
        default=86_400, gt=0, le=7 * 86_400, description="Longest time from `iat` to `exp`."
    )
    grants: list[Grant] = Field(
        min_length=1, description="A caller has the scopes of every one that fits; all others none."
    )

    @field_validator("issuer", "jwks_uri")
    @classmethod
    def _secure(cls, url: str | None) -> str | None:
        if url is not None and not is_secure(url):
            raise ValueError("not an https address (http is taken for this machine alone)")
        return url


class TrustedIssuersFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    issuers: list[IssuerEntry] = Field(max_length=100)

    @field_validator("issuers")
    @classmethod
    def _each_once(cls, issuers: list[IssuerEntry]) -> list[IssuerEntry]:
        for what in ("name", "issuer"):
            if len({getattr(entry, what) for entry in issuers}) < len(issuers):
                raise ValueError(f"two issuers have the same {what}")
        return issuers


def is_secure(url: str) -> bool:
    """Whether nobody on the way can change what comes from there."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def load_trusted_issuers(file: Path) -> list[IssuerEntry]:
    """Reads and checks the file.

    Raises:
        TrustedIssuersFileInvalid: it cannot be read or an entry is wrong.
    """
    try:
        content: Any = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TrustedIssuersFileInvalid(f"the trusted issuers cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise TrustedIssuersFileInvalid(f"{file} is not YAML") from error
    try:
        return TrustedIssuersFile.model_validate(content).issuers
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(map(str, fault["loc"]))
        raise TrustedIssuersFileInvalid(f"{file}: {path}: {fault['msg']}") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
