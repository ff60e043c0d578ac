"""Settings of the authorization server."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from servicekit.settings import TokenSettings


class TokenIssuingSettings(TokenSettings):
    """How access tokens are signed, and for whom and for how long they are."""

    signing_keys_dir: Path = Field(
        description="Directory of the P-256 keys that sign access tokens, which all gateways "
        "share; `rotate-signing-key` makes and changes them."
    )
    token_lifetime: int = Field(
        default=600, ge=30, le=600, description="Seconds that an access token is good for."
    )
    audiences: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Audiences beside WEIR_AUDIENCE that a client may ask tokens for, by "
        "`audience` or, where it is a URI, by `resource`; comma-separated.",
    )
    login_failures_per_address: int = Field(
        default=30,
        gt=0,
        description="Failed logins a minute from one address, before it must wait.",
    )
    login_failures_per_client: int = Field(
        default=100,
        gt=0,
        description="Failed logins a minute with one client id, before whoever has not logged in "
        "with it from where they are must wait.",
    )

    @field_validator("audiences", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
