"""On whose behalf a call is made."""

from servicekit.delegates import DELEGATE_SCOPE
from servicekit.errors import PermissionDenied
from servicekit.request_context import Principal


class DelegationDenied(PermissionDenied):
    """The caller names a tenant or client that it is not."""

    reason = "DELEGATION_DENIED"


def tenant_of(caller: Principal, stated: str) -> str:
    """The tenant whose part the caller sees.

    Raises:
        DelegationDenied: it states another than its own and may not.
    """
    return _own_or_stated(caller, caller.tenant, stated, "tenant")


def scope_of(caller: Principal, stated: str) -> str:
    """The tenant whose own windows are meant; empty for those of all tenants, which anybody sees.

    Raises:
        DelegationDenied: it is another's, watched or not.
    """
    return tenant_of(caller, stated) if stated else ""


def client_of(caller: Principal, stated: str) -> str:
    """The client that the caller acts as; raises as `tenant_of` does."""
    return _own_or_stated(caller, caller.client_id, stated, "client")


def _own_or_stated(caller: Principal, own: str, stated: str, what: str) -> str:
    if stated in ("", own):
        return own
    if DELEGATE_SCOPE not in caller.scopes:
        raise DelegationDenied(f"The token may not speak for another {what}.")
    return stated
