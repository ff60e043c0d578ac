"""RFC 6750, bearer tokens, at a route of the gateway."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from testkit.issuer import FakeIssuer

Issue = Callable[..., Awaitable[str]]
PATH = "/v1/predictions"


async def get(http: httpx.AsyncClient, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return await http.get(PATH, headers=headers)


async def test_2_1_scheme_is_case_insensitive(http: httpx.AsyncClient, issue: Issue) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await get(http, f"{scheme} {await issue()}")
        assert answer.status_code not in (401, 403)


async def test_2_2_token_in_a_form_is_not_taken(http: httpx.AsyncClient, issue: Issue) -> None:
    answer = await http.post("/predict", data={"access_token": await issue(), "text": "x"})
    assert answer.status_code == 401


async def test_2_3_token_in_the_address_is_not_taken(http: httpx.AsyncClient, issue: Issue) -> None:
    answer = await http.get(PATH, params={"access_token": await issue()})
    assert answer.status_code == 401


async def test_3_request_without_a_token_is_told_the_scheme_and_no_error(
    http: httpx.AsyncClient,
) -> None:
    challenge = (await get(http, None)).headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert "error" not in challenge


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.AAAA"])
async def test_3_1_invalid_token(http: httpx.AsyncClient, token: str) -> None:
    answer = await get(http, f"Bearer {token}")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_3_1_expired_token(http: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    answer = await get(http, f"Bearer {issuer.token('predictions:read', exp=1)}")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_3_1_insufficient_scope_names_the_scope(
    http: httpx.AsyncClient, issue: Issue
) -> None:
    answer = await get(http, f"Bearer {await issue(scope='models:read')}")
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="predictions:read"' in challenge


async def test_5_3_answers_with_tokens_are_not_stored(http: httpx.AsyncClient) -> None:
    answer = await http.post("/oauth2/token", data={"grant_type": "client_credentials"})
    assert answer.headers["cache-control"] == "no-store"
