"""Who may call what is said of every method."""

from prediction_log import grpc_api, privacy_grpc_api
from servicekit.method_scopes import unmatched_methods


def test_every_method_has_its_scope_and_no_scope_is_left_over() -> None:
    assert (
        unmatched_methods(
            grpc_api.SCOPES | privacy_grpc_api.SCOPES, [grpc_api.SERVICE, privacy_grpc_api.SERVICE]
        )
        == set()
    )
