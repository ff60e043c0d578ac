"""RFC 8693, token exchange: for less of what the client has already."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.token_endpoint import ACCESS_TOKEN_TYPE
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

from .conftest import OTHER_AUDIENCE, Post, asserted, assertion, claims_of, refused

Issue = Callable[..., Awaitable[str]]


async def test_2_1_own_token_is_exchanged_for_one_with_fewer_scopes(
    issue: Issue, exchange: Post, issuer: FakeIssuer
) -> None:
    answer = await exchange(await issue(), scope="models:read")
    claims = claims_of(answer, issuer.key)
    assert (claims["scope"], claims["client_id"], claims["aud"]) == (
        "models:read",
        "client-1",
        AUDIENCE,
    )


async def test_2_1_scope_is_the_subjects_by_default(issue: Issue, exchange: Post) -> None:
    answer = await exchange(await issue(scope="models:read models:predict"))
    assert answer.json()["scope"] == "models:predict models:read"


async def test_2_1_scope_never_grows(issue: Issue, exchange: Post) -> None:
    narrow = await issue(scope="models:read")
    refused(await exchange(narrow, scope="models:read models:predict"), 400, "invalid_scope")


async def test_2_1_scope_that_the_client_has_lost_is_gone(
    exchange: Post, issuer: FakeIssuer
) -> None:
    answer = await exchange(issuer.token("models:read", "drift:read"))
    assert answer.json()["scope"] == "models:read"


async def test_2_1_lifetime_never_grows(exchange: Post, issuer: FakeIssuer) -> None:
    ends = int(time.time()) + 120
    answer = await exchange(issuer.token("models:read", exp=ends))
    assert claims_of(answer, issuer.key)["exp"] == ends
    assert answer.json()["expires_in"] <= 120


@pytest.mark.parametrize(
    "parameter",
    [{"audience": OTHER_AUDIENCE}, {"resource": OTHER_AUDIENCE}, {"audience": AUDIENCE}],
)
async def test_2_1_audience_is_chosen_among_those_that_there_are(
    issue: Issue, exchange: Post, issuer: FakeIssuer, parameter: dict[str, str]
) -> None:
    answer = await exchange(await issue(), **parameter)
    assert claims_of(answer, issuer.key)["aud"] == next(iter(parameter.values()))


async def test_2_1_token_for_another_audience_is_not_widened(issue: Issue, exchange: Post) -> None:
    elsewhere = await issue(audience=OTHER_AUDIENCE)
    refused(await exchange(elsewhere, audience=AUDIENCE), 400, "invalid_request")


@pytest.mark.parametrize(
    "change",
    [
        {"subject_token": None},
        {"subject_token_type": None},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": "x", "actor_token_type": ACCESS_TOKEN_TYPE},
        {"actor_token_type": ACCESS_TOKEN_TYPE},
    ],
)
async def test_2_1_parameters(issue: Issue, exchange: Post, change: dict[str, Any]) -> None:
    refused(await exchange(await issue(), **change), 400, "invalid_request")


async def test_2_1_client_may_authenticate_with_an_assertion(issue: Issue, exchange: Post) -> None:
    answer = await exchange(await issue("signer"), None, **asserted(assertion()))
    assert answer.status_code == 200


async def test_2_2_1_answer_says_what_was_issued(issue: Issue, exchange: Post) -> None:
    body = (await exchange(await issue())).json()
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN_TYPE, "Bearer")
    assert {"access_token", "expires_in", "scope"} <= body.keys()
    assert "refresh_token" not in body


async def test_2_2_2_token_of_another_client_is_refused(issue: Issue, exchange: Post) -> None:
    refused(await exchange(await issue("neighbour")), 400, "invalid_request")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) - 60},
        {"iss": "https://somebody.else"},
        {"aud": "somebody else"},
        {"tenant": "tenant-2"},
        {"client_id": "neighbour"},
    ],
)
async def test_2_2_2_token_that_is_not_good_is_refused(
    exchange: Post, issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    refused(await exchange(issuer.token("models:read", **claims)), 400, "invalid_request")


async def test_2_2_2_nonsense_is_refused(exchange: Post) -> None:
    for token in ("x", "a.b.c", "é"):
        refused(await exchange(token), 400, "invalid_request")


async def test_2_2_2_unknown_target_is_refused(issue: Issue, exchange: Post) -> None:
    refused(await exchange(await issue(), audience="nobody"), 400, "invalid_target")


async def test_4_1_nobody_acts_for_somebody_else(
    issue: Issue, exchange: Post, issuer: FakeIssuer
) -> None:
    assert "act" not in claims_of(await exchange(await issue()), issuer.key)


async def test_5_unauthenticated_exchange_is_refused(issue: Issue, exchange: Post) -> None:
    refused(await exchange(await issue(), None), 401, "invalid_client")


async def test_own_issuer_is_the_only_one(exchange: Post) -> None:
    other = FakeIssuer().token("models:read", iss=ISSUER)
    refused(await exchange(other), 400, "invalid_request")
