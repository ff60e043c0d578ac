"""What an administrator may see, and what it may give away."""

from collections.abc import Iterable

from gateway.access import Caller
from gateway.domain import PLATFORM_TENANT
from gateway.identity_errors import IdentityUnknown, RevisionOutdated, ScopeNotHeld
from gateway.identity_records import ClientRecord, KeyRecord


def is_platform_admin(caller: Caller) -> bool:
    """Whether the caller administers every tenant."""
    return caller.tenant == PLATFORM_TENANT


def sees(caller: Caller, tenant: str) -> bool:
    """Whether things of that tenant exist for the caller.

    Those of the platform's own tenant see all of them; others their own tenant's.
    """
    return is_platform_admin(caller) or caller.tenant == tenant


def unknown(kind: str) -> IdentityUnknown:
    """What is said alike of what does not exist and of what is another tenant's."""
    return IdentityUnknown(f"There is no such {kind}.")


def may_give(caller: Caller, scopes: Iterable[str]) -> None:
    """Returns if the caller may let somebody have these scopes.

    That is also asked before a secret of a client is given out, for whoever has the secret has the
    client's scopes.

    Raises:
        ScopeNotHeld: it does not hold one of them itself.
    """
    beyond = sorted(set(scopes) - caller.scopes)
    if beyond:
        raise ScopeNotHeld(f"You cannot give what you do not hold: {', '.join(beyond)}.")


def matches(record: ClientRecord | KeyRecord, if_match: str | None) -> None:
    """Returns if the record is as the If-Match header says (RFC 9110, 13.1.1).

    Raises:
        RevisionOutdated: it was changed since it was read.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if record.etag not in (tag.strip() for tag in if_match.split(",")):
        raise RevisionOutdated(
            "It was changed since you read it: read it again, and change what is there now."
        )
