"""Who may call what is said of every method."""

from drift import grpc_api, incident_grpc_api, reference_grpc_api
from servicekit.method_scopes import unmatched_methods

APIS = (grpc_api, incident_grpc_api, reference_grpc_api)


def test_every_method_has_its_scope_and_no_scope_is_left_over() -> None:
    scopes = {method: scope for api in APIS for method, scope in api.SCOPES.items()}
    assert unmatched_methods(scopes, [api.SERVICE for api in APIS]) == set()
