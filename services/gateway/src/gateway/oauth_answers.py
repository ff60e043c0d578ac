"""What the authorization server's endpoints answer, and how they refuse (RFC 6749, 5)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.domain import Client

_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class OAuthRefused(Exception):
    """The request is refused.

    Args:
        error: the code that the client is told.
        description: for whoever writes the client: printable ASCII, and never what tells which
            clients exist.
        reason: why, for the audit trail alone; the code by default.
        retry_after: seconds after which another try makes sense.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = 400,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.reason = reason or error
        self.retry_after = retry_after


class LoginRefused(OAuthRefused):
    """Whoever asks has not proved to be a client: the same words whatever was wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "invalid_client", "Client authentication failed.", status=401, reason=reason
        )


@dataclass(frozen=True, slots=True)
class OAuthAnswer:
    """What goes back to the client, and what the audit trail is told."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_NO_STORE))
    client: Client | None = None
    """Who asked; None when that could not be proved."""
    claimed_client_id: str = ""
    reason: str = ""
    """Why it was refused; empty when it was not."""
    target: str = ""
    """What it was about: a token's `jti`."""

    @property
    def error(self) -> str:
        """The error code; empty when there is none."""
        return str(self.body.get("error", "")) if self.status >= 400 else ""


def refusal(
    refused: OAuthRefused, *, client: Client | None = None, claimed_client_id: str = ""
) -> OAuthAnswer:
    """The answer that tells a refusal (RFC 6749, 5.2)."""
    headers = dict(_NO_STORE)
    if refused.status == 401:
        headers["www-authenticate"] = 'Basic realm="weir", charset="UTF-8"'
    if refused.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(refused.retry_after)))
    # authlib repeats what was asked for, which may hold what must not be in here.
    described = "".join(c for c in refused.description if " " <= c <= "~" and c not in '"\\')
    body = {"error": refused.error, "error_description": described[:200]}
    return OAuthAnswer(
        refused.status,
        body,
        headers,
        client,
        claimed_client_id,
        reason=refused.reason,
    )
