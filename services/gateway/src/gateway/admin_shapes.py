"""The bodies of requests that administer clients and API keys.

Each names all that it takes: whatever else is in a body is refused by its name.
"""

from typing import Annotated

from pydantic import AwareDatetime, Field

from gateway.api_shapes import PlainText, RequestBody
from gateway.client_entries import Name, PublicKey, Role, Scope
from gateway.quota_entries import QuotaFields

_SCOPES = ["models:predict", "models:read"]
_JWK = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}
_JWK |= {"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "kid": "shop-2026"}
_Label = Annotated[PlainText, Field(max_length=128)]


class _ClientFields(RequestBody, QuotaFields):
    name: _Label | None = Field(
        default=None, examples=["Shop backend"], description="For people; need not be unique."
    )
    scopes: list[Scope] = Field(
        default=[],
        max_length=64,
        examples=[_SCOPES],
        description="What it may do beside what its roles allow. You can give what you hold.",
    )
    roles: list[Role] = Field(
        default=[],
        max_length=16,
        examples=[["predictor"]],
        description="Sets of scopes: viewer, predictor, analyst, operator, admin.",
    )
    public_keys: list[PublicKey] = Field(
        default=[],
        max_length=8,
        examples=[[_JWK]],
        description="Public JWKs: it may prove itself by assertions signed with them (RFC 7523).",
    )
    disabled: bool = Field(
        default=False, description="Whether it is refused everywhere, its API keys, too."
    )


class NewClientBody(_ClientFields):
    """A client to make."""

    client_id: Name | None = Field(
        default=None,
        examples=["shop"],
        description="Chosen by platform administrators alone; others get one made.",
    )
    tenant: Name | None = Field(
        default=None,
        examples=["acme"],
        description="Yours by default; platform administrators may name another.",
    )
    with_secret: bool = Field(
        default=True, description="Whether it gets a secret; one with public keys needs none."
    )


class ClientChangeBody(_ClientFields):
    """What shall be different; a field that is not here stays as it is."""


class _KeyFields(RequestBody, QuotaFields):
    name: _Label | None = Field(
        default=None, examples=["Nightly batch"], description="For people; need not be unique."
    )
    scopes: list[Scope] = Field(
        default=[],
        max_length=64,
        examples=[_SCOPES],
        description="Some or all of its client's.",
    )
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        default=None, examples=["2027-12-31T00:00:00Z"], description="null for never."
    )
    disabled: bool = Field(default=False, description="Whether it is refused everywhere.")


class NewKeyBody(_KeyFields):
    """An API key to make."""

    client_id: Name | None = Field(
        default=None, examples=["shop"], description="Whose key it is; your own by default."
    )


class KeyChangeBody(_KeyFields):
    """What shall be different; a field that is not here stays as it is."""


class BootstrapBody(RequestBody):
    """The proof that one may make the first administrator."""

    bootstrap_secret: str = Field(
        min_length=1, max_length=4096, description="What WEIR_BOOTSTRAP_SECRET_FILE holds."
    )
    client_id: Name = Field(default="admin", description="Of the administrator.")
