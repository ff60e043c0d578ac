"""RFC 8414, metadata; RFC 7517, the published keys; RFC 8707, resources; RFC 9068, the tokens."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from gateway.domain import CLIENT_CREDENTIALS, SCOPES
from gateway.server_metadata import metadata_paths, server_metadata
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

from .conftest import OTHER_AUDIENCE, Post, claims_of, refused

METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"
GRANT = {"grant_type": CLIENT_CREDENTIALS}
Issue = Callable[..., Awaitable[str]]


async def test_rfc8414_2_required_and_true(http: httpx.AsyncClient) -> None:
    metadata = (await http.get(METADATA)).json()
    assert metadata["issuer"] == ISSUER
    assert metadata["response_types_supported"] == []
    assert set(metadata["scopes_supported"]) == set(SCOPES)
    for name in ("token", "introspection", "revocation"):
        path = metadata[f"{name}_endpoint"].removeprefix(ISSUER)
        assert (await http.get(path)).status_code == 405
        assert "private_key_jwt" in metadata[f"{name}_endpoint_auth_methods_supported"]
        algorithms = metadata[f"{name}_endpoint_auth_signing_alg_values_supported"]
        assert "ES256" in algorithms
        assert not {one for one in algorithms if one == "none" or one.startswith("HS")}
    assert (await http.get(metadata["jwks_uri"].removeprefix(ISSUER))).status_code == 200


async def test_rfc8414_2_grants_are_those_that_work(http: httpx.AsyncClient, post: Post) -> None:
    for grant in (await http.get(METADATA)).json()["grant_types_supported"]:
        error = (await post("token", grant_type=grant)).json().get("error")
        assert error in (None, "invalid_request")


def test_rfc8414_3_1_path_of_the_issuer_comes_last() -> None:
    assert metadata_paths("https://weir.test/eu/") == [METADATA, f"{METADATA}/eu"]
    assert metadata_paths("https://weir.test") == [METADATA]


@pytest.mark.parametrize("issuer", ["https://weir.test", "https://weir.test/eu/"])
def test_rfc8414_3_3_issuer_is_repeated_to_the_letter(issuer: str) -> None:
    metadata = server_metadata(issuer)
    assert metadata["issuer"] == issuer
    assert metadata["token_endpoint"] == f"{issuer.rstrip('/')}/oauth2/token"


@pytest.mark.parametrize("path", [METADATA, JWKS])
async def test_rfc8414_3_2_published_documents_are_cached(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert answer.headers["cache-control"] == "public, max-age=300"
    again = await http.get(path, headers={"if-none-match": f'W/{answer.headers["etag"]}, "x"'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    other = await http.get(path, headers={"if-none-match": '"another"'})
    assert (other.status_code, other.content) == (200, answer.content)


async def test_rfc7517_5_published_keys_are_a_jwk_set(http: httpx.AsyncClient) -> None:
    answer = await http.get(JWKS)
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert len(list(KeySet.import_key_set(answer.json()))) == 1


async def test_rfc7517_4_key_says_what_it_is_for_and_holds_nothing_private(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    (key,) = (await http.get(JWKS)).json()["keys"]
    assert (key["kty"], key["use"], key["alg"]) == ("EC", "sig", "ES256")
    assert key["kid"] == ECKey.import_key(key).thumbprint() == issuer.key.kid
    assert "d" not in key


async def test_rfc9068_2_1_header(issue: Issue, issuer: FakeIssuer) -> None:
    header = jws.extract_compact((await issue()).encode()).headers()
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}


async def test_rfc9068_2_2_claims(post: Post, issuer: FakeIssuer) -> None:
    claims = claims_of(await post("token", **GRANT), issuer.key)
    now = time.time()
    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)
    assert (claims["sub"], claims["client_id"]) == ("client-1", "client-1")
    assert now - 60 < claims["iat"] <= now
    assert claims["exp"] == claims["iat"] + 600
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", claims["jti"])
    assert claims["scope"] == "models:predict models:read predictions:read"
    assert claims["tenant"] == "tenant-1"


async def test_rfc9068_2_2_no_two_tokens_have_one_id(post: Post, issuer: FakeIssuer) -> None:
    tokens = [claims_of(await post("token", **GRANT), issuer.key)["jti"] for _ in range(5)]
    assert len(set(tokens)) == 5


@pytest.mark.parametrize(
    ("parameters", "audience"),
    [
        ({}, AUDIENCE),
        ({"resource": ISSUER}, AUDIENCE),
        ({"resource": f"{ISSUER}/"}, AUDIENCE),
        ({"audience": AUDIENCE}, AUDIENCE),
        ({"audience": "reports"}, "reports"),
        ({"resource": OTHER_AUDIENCE}, OTHER_AUDIENCE),
        ({"audience": OTHER_AUDIENCE, "resource": OTHER_AUDIENCE}, OTHER_AUDIENCE),
        ({"resource": [OTHER_AUDIENCE, OTHER_AUDIENCE]}, OTHER_AUDIENCE),
    ],
)
async def test_rfc8707_2_token_is_for_the_resource_that_was_named(
    post: Post, issuer: FakeIssuer, parameters: dict[str, Any], audience: str
) -> None:
    answer = await post("token", **GRANT, **parameters)
    assert claims_of(answer, issuer.key)["aud"] == audience


@pytest.mark.parametrize(
    "parameters",
    [
        {"resource": "https://nobody.test"},
        {"audience": "nobody"},
        {"resource": "weir"},
        {"resource": f"{OTHER_AUDIENCE}#part"},
        {"resource": "//no.scheme"},
        {"resource": "http://[bad"},
        {"resource": [ISSUER, OTHER_AUDIENCE]},
        {"resource": ISSUER, "audience": "reports"},
    ],
)
async def test_rfc8707_2_other_targets_are_invalid(post: Post, parameters: dict[str, Any]) -> None:
    refused(await post("token", **GRANT, **parameters), 400, "invalid_target")


async def test_rfc9068_3_token_is_for_one_audience(post: Post) -> None:
    answer = await post("token", **GRANT, resource=[ISSUER, OTHER_AUDIENCE])
    refused(answer, 400, "invalid_target")


async def test_rfc9068_4_token_for_another_audience_does_not_pass_here(
    http: httpx.AsyncClient, issue: Issue
) -> None:
    bearer = {"authorization": f"Bearer {await issue(resource=OTHER_AUDIENCE)}"}
    answer = await http.get("/v1/models", headers=bearer)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
