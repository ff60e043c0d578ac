"""Finds what is behind an access token of our own, whomever it is meant for."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.errors import Unauthenticated
from servicekit.request_context import Principal


class IssuedTokens:
    """The tokens that this issuer has issued and that are good yet.

    Args:
        verifiers: for each audience that tokens are issued for.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        verifiers: Mapping[str, AccessTokenVerifier],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifiers = verifiers
        self._clock = clock

    async def find(self, token: str) -> Principal | None:
        """What a token says; None if it is not ours, or good no more.

        Raises:
            Unavailable: it is not known yet which tokens were revoked.
        """
        verifier = self._verifiers.get(_unproved_audience(token))
        if verifier is None:
            return None
        try:
            principal = await verifier.verify(token)
        except Unauthenticated:
            return None
        # A verifier allows for clocks that differ; this one's is the issuer's own.
        return principal if principal.expires_at >= self._clock() + 1 else None


def _unproved_audience(token: str) -> str:
    """Whom the token says that it is for; the verifier of that audience proves it."""
    payload = "".join(token.split(".")[1:2])
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(f"{payload}=="))
    except (ValueError, RecursionError):
        return ""
    audience = claims.get("aud") if isinstance(claims, dict) else None
    return audience if isinstance(audience, str) else ""
