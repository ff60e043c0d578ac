"""RFC 6749, OAuth 2.0: client authentication, client credentials and their errors.

Here and beside, a test's name begins with the clause that it holds the gateway to.
"""

import string
from typing import Any

import httpx
import pytest

from gateway.domain import CLIENT_CREDENTIALS, TOKEN_EXCHANGE

from ..conftest import SECRET
from .conftest import Post, asserted, assertion, refused

GRANT = {"grant_type": CLIENT_CREDENTIALS}
FORM = "application/x-www-form-urlencoded"


async def test_2_3_client_uses_one_method_of_authentication(post: Post) -> None:
    both = GRANT | {"client_id": "client-1", "client_secret": SECRET}
    refused(await post("token", "client-1", **both), 400, "invalid_request")
    signed = GRANT | asserted(assertion())
    refused(await post("token", "client-1", **signed), 400, "invalid_request")
    refused(await post("token", None, client_secret=SECRET, **signed), 400, "invalid_request")


async def test_2_3_1_basic_credentials_are_taken(post: Post) -> None:
    assert (await post("token", "client-1", **GRANT)).status_code == 200


async def test_2_3_1_credentials_in_the_body_are_taken(post: Post) -> None:
    form = GRANT | {"client_id": "client-1", "client_secret": SECRET}
    assert (await post("token", None, **form)).status_code == 200


async def test_2_3_1_credentials_in_the_address_are_not_taken(http: httpx.AsyncClient) -> None:
    parameters = GRANT | {"client_id": "client-1", "client_secret": SECRET}
    answer = await http.post("/oauth2/token", params=parameters, data=GRANT)
    refused(answer, 401, "invalid_client")


async def test_2_3_1_failed_logins_are_bounded_against_brute_force(
    http: httpx.AsyncClient,
) -> None:
    attempts = 0
    while attempts < 500:
        answer = await http.post("/oauth2/token", data=GRANT, auth=("client-1", "guess"))
        if answer.status_code == 429:
            break
        attempts += 1
    assert attempts >= 30
    refused(answer, 429, "slow_down")
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_3_2_get_is_refused(http: httpx.AsyncClient) -> None:
    refused(await http.get("/oauth2/token"), 405, "invalid_request")


async def test_3_2_parameter_without_a_value_counts_as_absent(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/oauth2/token",
        content="grant_type=client_credentials&scope=&client_secret=",
        headers={"content-type": FORM},
        auth=("client-1", SECRET),
    )
    assert answer.status_code == 200


async def test_3_2_unknown_parameters_are_ignored(post: Post) -> None:
    assert (await post("token", "client-1", **GRANT, colour="blue")).status_code == 200


async def test_3_2_parameters_are_not_repeated(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/oauth2/token",
        content="grant_type=client_credentials&scope=models:read&scope=models:predict",
        headers={"content-type": FORM},
        auth=("client-1", SECRET),
    )
    refused(answer, 400, "invalid_request")


async def test_3_3_issued_scope_is_told(post: Post) -> None:
    answer = await post("token", "client-1", **GRANT, scope="models:read")
    assert answer.json()["scope"] == "models:read"


async def test_3_3_default_scope_is_all_that_the_client_has(post: Post) -> None:
    answer = await post("token", "client-1", **GRANT)
    assert answer.json()["scope"] == "models:predict models:read predictions:read"


async def test_4_4_3_no_refresh_token_is_issued(post: Post) -> None:
    assert "refresh_token" not in (await post("token", "client-1", **GRANT)).json()


async def test_5_1_answer_holds_what_it_must_and_is_not_stored(post: Post) -> None:
    answer = await post("token", "client-1", **GRANT)
    body = answer.json()
    assert (body["token_type"].lower(), type(body["expires_in"])) == ("bearer", int)
    assert answer.headers["content-type"].startswith("application/json")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


async def test_5_2_invalid_request(post: Post) -> None:
    refused(await post("token", "client-1", scope="models:read"), 400, "invalid_request")


async def test_5_2_invalid_client_names_the_scheme_that_was_used(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/oauth2/token", data=GRANT, auth=("client-1", "wrong"))
    refused(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_5_2_unauthorized_client(post: Post) -> None:
    refused(await post("token", "keys-only", **GRANT), 400, "unauthorized_client")
    exchange = {"subject_token": "x", "subject_token_type": "x"}
    answer = await post("token", "neighbour", grant_type=TOKEN_EXCHANGE, **exchange)
    refused(answer, 400, "unauthorized_client")


async def test_5_2_unsupported_grant_type(post: Post) -> None:
    for grant in ("password", "authorization_code", "refresh_token", "implicit"):
        refused(await post("token", "client-1", grant_type=grant), 400, "unsupported_grant_type")


async def test_5_2_invalid_scope(post: Post) -> None:
    for scope in ("predictions:export", "delegate", "nonsense", 'a"b', "models:read delegate"):
        refused(await post("token", "client-1", **GRANT, scope=scope), 400, "invalid_scope")


async def test_5_2_errors_hold_only_the_characters_that_they_may(http: httpx.AsyncClient) -> None:
    allowed = set(string.printable[:95]) - set('"\\')
    for form in (
        {"grant_type": '"\\é\r\n'},
        {"grant_type": CLIENT_CREDENTIALS, "scope": '"\\é'},
        {"grant_type": CLIENT_CREDENTIALS, "resource": '"\\é'},
        {"scope": "x"},
    ):
        answer = await http.post("/oauth2/token", data=form, auth=("client-1", SECRET))
        body = answer.json()
        assert answer.status_code == 400
        assert set(body["error"] + body.get("error_description", "")) <= allowed


@pytest.mark.parametrize(
    "given",
    [
        {"auth": ("nobody", "x")},
        {"auth": ("client-1", "x")},
        {"data": {"client_id": "nobody", "client_secret": "x"}},
        {"data": {"client_id": "client-1", "client_secret": "x"}},
        {"data": asserted("x.y.z")},
        {"data": asserted(assertion(sub="nobody", iss="nobody"))},
        {"data": asserted(assertion(aud="somebody else"))},
    ],
)
async def test_5_2_every_failed_login_gets_the_same_words(
    http: httpx.AsyncClient, given: dict[str, Any]
) -> None:
    reference = await http.post("/oauth2/token", data=GRANT)
    sent = given | {"data": GRANT | given.get("data", {})}
    answer = await http.post("/oauth2/token", **sent)
    refused(answer, 401, "invalid_client")
    assert answer.content == reference.content
    assert answer.headers["www-authenticate"] == reference.headers["www-authenticate"]
