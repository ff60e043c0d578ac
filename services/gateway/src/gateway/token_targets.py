"""Whom a token is for: one audience, chosen by `resource` (RFC 8707) or `audience` (RFC 8693)."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway.client_credentials import Parameters
from gateway.oauth_answers import OAuthRefused


class TokenTargets:
    """The audiences that tokens are issued for.

    Args:
        audience: of this platform's own interfaces; the default, and the one that `resource` means
            when it is the issuer's address.
        others: audiences beside it.
    """

    def __init__(self, audience: str, others: Sequence[str] = (), *, issuer: str) -> None:
        self.audiences = tuple(dict.fromkeys([audience, *others]))
        self._by_name = {name: name for name in self.audiences}
        self._by_resource = {name: name for name in self.audiences if _is_resource(name)}
        base = issuer.rstrip("/")
        self._by_resource |= {base: audience, f"{base}/": audience}

    def chosen(self, parameters: Parameters) -> str:
        """The audience that a request asks for.

        One only: what a scope allows must not depend on who reads the token (RFC 9068, 3).

        Raises:
            OAuthRefused: there is no such audience, or there are several (`invalid_target`).
        """
        chosen = set()
        for resource in parameters.repeated["resource"]:
            if not _is_resource(resource):
                raise _refused("A resource must be an absolute URI without a fragment.")
            chosen.add(self._by_resource.get(resource))
        chosen |= {self._by_name.get(name) for name in parameters.repeated["audience"]}
        if None in chosen:
            raise _refused("No tokens are issued for that resource or audience.")
        if len(chosen) > 1:
            raise _refused("A token is for one audience.")
        return chosen.pop() or self.audiences[0] if chosen else self.audiences[0]


def _is_resource(name: str) -> bool:
    """RFC 8707, 2."""
    try:
        parts = urlsplit(name)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and "#" not in name


def _refused(description: str) -> OAuthRefused:
    return OAuthRefused("invalid_target", description)
