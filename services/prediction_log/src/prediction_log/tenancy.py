"""On whose behalf a call is made."""

from urllib.parse import unquote

from prediction_log.domain import MAX_NAME
from servicekit.errors import PermissionDenied
from servicekit.request_context import Principal

DELEGATION = "delegate"
"""The scope of callers that were told by somebody else whom they speak for: the gateway."""


PLATFORM_TENANT = "weir"
"""The tenant of those who run the platform."""
ADMINISTRATION = "admin"
"""The scope that, in the platform's tenant, reaches every tenant."""


class DelegationDenied(PermissionDenied):
    """The caller names a tenant or client that it is not."""

    reason = "DELEGATION_DENIED"


class AllTenantsDenied(PermissionDenied):
    """The caller asks for every tenant's records and does not run the platform."""

    reason = "ALL_TENANTS_DENIED"


def tenant_of(caller: Principal, stated: str) -> str:
    """The tenant whose records the caller sees.

    Raises:
        DelegationDenied: it states another than its own and may not.
    """
    return _own_or_stated(caller, caller.tenant, stated, "tenant")


def client_of(caller: Principal, stated: str) -> str:
    """The client that the caller acts as.

    Raises:
        DelegationDenied: it states another than itself and may not.
    """
    return _own_or_stated(caller, caller.client_id, stated, "client")


def sees_all_tenants(caller: Principal, tenant: str) -> bool:
    """True where the caller may see every tenant's records.

    Args:
        tenant: the one that it belongs to or speaks for.

    Raises:
        AllTenantsDenied: it may not.
    """
    if tenant == PLATFORM_TENANT and not caller.scopes.isdisjoint({ADMINISTRATION, DELEGATION}):
        return True
    raise AllTenantsDenied("The token is bound to one tenant.")


def address_of(caller: Principal, stated: str, peer: str) -> str:
    """The network address that a request came from.

    Args:
        stated: what the caller says about it; believed of those who may speak for others.
        peer: the connection's other end, as gRPC tells it: `ipv4:198.51.100.7:50000`.
    """
    if stated and DELEGATION in caller.scopes:
        return stated.replace("\0", "")[:MAX_NAME]
    kind, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


def _own_or_stated(caller: Principal, own: str, stated: str, what: str) -> str:
    if stated in ("", own):
        return own
    if DELEGATION not in caller.scopes:
        raise DelegationDenied(f"The token may not speak for another {what}.")
    return stated
