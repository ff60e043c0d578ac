"""What each role allows."""

import pytest

from gateway.domain import SCOPES
from gateway.roles import ROLES, scopes_of


@pytest.mark.parametrize("role", ROLES)
def test_role_is_made_of_known_scopes(role: str) -> None:
    assert ROLES[role] <= set(SCOPES)


def test_analyst_may_all_that_viewer_and_predictor_may() -> None:
    assert ROLES["viewer"] | ROLES["predictor"] < ROLES["analyst"]


def test_operator_runs_the_platform_and_asks_no_model() -> None:
    assert "models:predict" not in ROLES["operator"]
    assert ROLES["viewer"] < ROLES["operator"]


def test_admin_alone_decides_who_may() -> None:
    assert [role for role, scopes in ROLES.items() if "admin" in scopes] == ["admin"]
    assert ROLES["admin"] == {"admin", "audit:read"}


def test_scopes_add_to_those_of_the_roles() -> None:
    assert scopes_of(["admin"], ["models:read"]) == {"admin", "audit:read", "models:read"}
    assert scopes_of([]) == frozenset()
