"""Each route refuses a token without its scope, and everybody without a token, as RFC 6750 says."""

import httpx
from security.world import EVERYTHING, MINE, Operation, World

OPEN = {
    "POST /oauth2/token",
    "POST /v1/bootstrap",
    "POST /oauth2/revoke",
    "POST /oauth2/introspect",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
}
"""Routes without a bearer token: those of the token endpoint's kind authenticate by other means."""


def send(api: httpx.Client, operation: Operation) -> httpx.Response:
    return api.request(operation.method, operation.url(), json={} if operation.media_type else None)


def guarded(world: World) -> list[Operation]:
    return [
        operation
        for operation in world.operations
        if operation.scopes and not operation.path.startswith("/oauth2/")
    ]


def test_every_route_needs_a_scope_or_is_known_to_be_open(world: World) -> None:
    free = {operation.name for operation in world.operations if not operation.scopes}
    assert free - OPEN == set()
    assert len(guarded(world)) > 20


def test_no_token_is_told_so_and_no_more(world: World) -> None:
    with world.anybody() as api:
        for operation in guarded(world):
            answer = send(api, operation)
            assert answer.status_code == 401, operation.name
            # RFC 6750, 3.1: no error code where there were no credentials.
            challenge = answer.headers["www-authenticate"]
            assert challenge.startswith('Bearer realm="weir"'), operation.name
            assert "error" not in challenge


def test_bad_token_is_told_so(world: World) -> None:
    with world.platform.client("a.b.c") as api:
        for operation in guarded(world):
            answer = send(api, operation)
            assert answer.status_code == 401, operation.name
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_token_without_the_scope_is_told_which(world: World) -> None:
    for missing in sorted({scope for operation in guarded(world) for scope in operation.scopes}):
        with world.api(MINE, *(EVERYTHING - {missing})) as api:
            for operation in guarded(world):
                if missing not in operation.scopes:
                    continue
                answer = send(api, operation)
                assert answer.status_code == 403, (operation.name, answer.text)
                challenge = answer.headers["www-authenticate"]
                assert 'error="insufficient_scope"' in challenge
                assert f'scope="{missing}"' in challenge, operation.name


def test_text_of_a_prediction_needs_a_scope_of_its_own(world: World) -> None:
    with world.api(MINE, "predictions:read") as api:
        path = f"/v1/predictions/{world.owned['prediction_id']}?include_input=true"
        answer = api.get(path)
        assert answer.status_code == 403
        assert 'scope="inputs:read"' in answer.headers["www-authenticate"]
