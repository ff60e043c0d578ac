"""Roles: names for the sets of scopes that people are given together."""

from collections.abc import Iterable

_READING = frozenset({"models:read", "predictions:read", "drift:read"})
_PREDICTING = frozenset({"models:predict", "models:read", "feedback:write"})
_CLOSE_READING = _READING | {"predictions:export", "inputs:read"}

ROLES: dict[str, frozenset[str]] = {
    "viewer": _READING,
    "predictor": _PREDICTING,
    "analyst": _CLOSE_READING | _PREDICTING,
    "operator": _CLOSE_READING
    | {"models:manage", "privacy:erase", "predictions:write", "drift:manage"},
    "admin": frozenset({"admin", "audit:read"}),
}
"""What each role may do; a client holds the scopes of all its roles and those named beside them.

An operator runs the platform and does not predict; an admin decides who may, and reads nothing but
the audit trail. Whoever needs both is given both.
"""


def scopes_of(roles: Iterable[str], scopes: Iterable[str] = ()) -> frozenset[str]:
    """All that these roles and scopes allow together.

    Raises:
        KeyError: there is no such role.
    """
    return frozenset(scopes).union(*(ROLES[role] for role in roles))
