"""RFC 7662, introspection: what an access token says, for resource servers."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

from .conftest import OTHER_AUDIENCE, Post, refused

Issue = Callable[..., Awaitable[str]]
INACTIVE = {"active": False}


async def test_2_1_caller_authenticates(post: Post, issue: Issue) -> None:
    refused(await post("introspect", None, token=await issue()), 401, "invalid_client")


async def test_2_1_caller_is_a_resource_server(post: Post, issue: Issue) -> None:
    answer = await post("introspect", "client-1", token=await issue())
    refused(answer, 403, "insufficient_scope")


async def test_2_1_token_is_needed(post: Post) -> None:
    refused(await post("introspect", "resources", token=""), 400, "invalid_request")


async def test_2_1_get_is_refused(http: httpx.AsyncClient) -> None:
    refused(await http.get("/oauth2/introspect"), 405, "invalid_request")


async def test_2_2_active_token_is_described(post: Post, issue: Issue) -> None:
    token = await issue(scope="models:read")
    answer = await post("introspect", "resources", token=token)
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert abs(body.pop("exp") - time.time() - 600) < 60
    assert abs(body.pop("iat") - time.time()) < 60
    assert len(body.pop("jti")) == 36
    assert body == {
        "active": True,
        "scope": "models:read",
        "client_id": "client-1",
        "sub": "client-1",
        "tenant": "tenant-1",
        "token_type": "Bearer",
        "iss": ISSUER,
        "aud": AUDIENCE,
    }


async def test_2_2_tokens_for_other_audiences_are_described_to_them(
    post: Post, issue: Issue
) -> None:
    token = await issue(resource=OTHER_AUDIENCE)
    body = (await post("introspect", "resources", token=token)).json()
    assert (body["active"], body["aud"]) == (True, OTHER_AUDIENCE)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) - 1},
        {"iss": "https://somebody.else"},
        {"aud": "nobody"},
        {"client_id": "nobody"},
        {"tenant": "tenant-2"},
    ],
)
async def test_2_2_inactive_token_says_nothing_else(
    post: Post, issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    token = issuer.token("models:read", **claims)
    assert (await post("introspect", "resources", token=token)).json() == INACTIVE


async def test_2_2_nonsense_is_inactive(post: Post) -> None:
    for token in ("x", "a.b.c", "é", "." * 50):
        assert (await post("introspect", "resources", token=token)).json() == INACTIVE


async def test_2_2_scope_that_the_client_has_lost_is_gone(post: Post, issuer: FakeIssuer) -> None:
    token = issuer.token("models:read", "drift:read")
    assert (await post("introspect", "resources", token=token)).json()["scope"] == "models:read"


async def test_2_2_other_tenants_tokens_are_not_told_of(post: Post, issue: Issue) -> None:
    token = await issue("foreigner")
    assert (await post("introspect", "resources", token=token)).json() == INACTIVE
    assert (await post("introspect", "platform", token=token)).json()["active"] is True


async def test_4_inactive_tokens_look_all_the_same(post: Post, issuer: FakeIssuer) -> None:
    expired = issuer.token("models:read", exp=int(time.time()) - 60)
    answers = [await post("introspect", "resources", token=token) for token in ("x", expired)]
    assert answers[0].content == answers[1].content
