"""Who may call what is said of every method."""

from inference.grpc_api import SCOPES, SERVICE
from inference.oip_grpc_api import OIP_SCOPES, OIP_SERVICE
from servicekit.method_scopes import unmatched_methods


def test_every_method_has_its_scope_and_no_scope_is_left_over() -> None:
    assert unmatched_methods(SCOPES | OIP_SCOPES, [SERVICE, OIP_SERVICE]) == set()
