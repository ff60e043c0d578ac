"""Who may call what is said of every method."""

from drift.grpc_api import SCOPES, SERVICE
from servicekit.method_scopes import unmatched_methods


def test_every_method_has_its_scope_and_no_scope_is_left_over() -> None:
    assert unmatched_methods(SCOPES, [SERVICE]) == set()
