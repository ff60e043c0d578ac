"""Which bearer tokens pass, and what the others are told."""

import base64
import json
import time
from typing import Any

import httpx
import pytest

from testkit.issuer import FakeIssuer

from .conftest import Call
from .test_predict import refused

BODY = {"text": "x"}


def invalid_token(answer: httpx.Response, code: str = "TOKEN_INVALID") -> None:
    refused(answer, 401, code)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_no_token_is_told_how_to_get_one(http: httpx.AsyncClient) -> None:
    answer = await http.post("/predict", json=BODY)
    assert "/oauth2/token" in refused(answer, 401, "TOKEN_MISSING")["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="weir"'


@pytest.mark.parametrize("header", ["Basic eDp5", "Bearer", "Bearer ", "x"])
async def test_other_credentials_are_no_token(http: httpx.AsyncClient, header: str) -> None:
    answer = await http.post("/predict", json=BODY, headers={"authorization": header})
    refused(answer, 401, "TOKEN_MISSING")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "\xff\xfe", "a" * 5000])
async def test_nonsense_is_no_token(http: httpx.AsyncClient, token: str) -> None:
    header = f"Bearer {token}".encode("latin-1")
    invalid_token(await http.post("/predict", json=BODY, headers={"authorization": header}))


async def test_expired_token_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    token = issuer.token("models:predict", exp=int(time.time()) - 6)
    invalid_token(await predict(BODY, token=token), "TOKEN_EXPIRED")


async def test_token_for_another_audience_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    invalid_token(await predict(BODY, token=issuer.token("models:predict", aud="other")))


async def test_token_of_another_issuer_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    invalid_token(await predict(BODY, token=issuer.token("models:predict", iss="https://evil")))


async def test_token_signed_with_another_key_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    forged = FakeIssuer().token("models:predict", header={"kid": issuer.key.kid})
    invalid_token(await predict(BODY, token=forged))


async def test_token_without_a_signature_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    claims = issuer.token("models:predict").split(".")[1]
    header: dict[str, Any] = {"alg": "none", "typ": "at+jwt", "kid": issuer.key.kid}
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    invalid_token(await predict(BODY, token=f"{encoded}.{claims}."))


async def test_token_of_another_type_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    invalid_token(await predict(BODY, token=issuer.token("models:predict", header={"typ": "JWT"})))


async def test_missing_scope_is_named(predict: Call, issuer: FakeIssuer) -> None:
    answer = await predict(BODY, token=issuer.token("models:read"))
    refused(answer, 403, "SCOPE_MISSING")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="models:predict"' in answer.headers["www-authenticate"]


async def test_scope_that_the_client_lost_is_missing(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    token = issuer.token("models:read", client_id="frugal")
    answer = await http.get("/v1/models", headers={"authorization": f"Bearer {token}"})
    refused(answer, 403, "SCOPE_MISSING")


async def test_token_of_a_removed_client_is_refused(predict: Call, issuer: FakeIssuer) -> None:
    token = issuer.token("models:predict", client_id="removed")
    invalid_token(await predict(BODY, token=token), "CLIENT_UNKNOWN")


async def test_gateways_own_token_does_not_pass_the_public_door(
    predict: Call, issuer: FakeIssuer
) -> None:
    token = issuer.token("models:predict", "delegate", client_id="weir-gateway", tenant="weir")
    invalid_token(await predict(BODY, token=token), "CLIENT_UNKNOWN")


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/models", "models:read"),
        ("/v1/models/sentiment", "models:read"),
        ("/v1/predictions", "predictions:read"),
        ("/v1/predictions/x", "predictions:read"),
        ("/v1/stats", "predictions:read"),
        ("/v1/stats/series", "predictions:read"),
        ("/v1/predictions/export", "predictions:export"),
        ("/v1/drift/models/sentiment/reports/latest", "drift:read"),
    ],
)
async def test_each_reading_route_needs_its_own_scope(get: Call, path: str, scope: str) -> None:
    others = {
        "models:predict",
        "models:read",
        "predictions:read",
        "predictions:export",
        "feedback:write",
        "drift:read",
    } - {scope}
    refused(await get(path, *others), 403, "SCOPE_MISSING")


async def test_token_is_checked_before_the_body(http: httpx.AsyncClient) -> None:
    refused(await http.post("/predict", content=b"{"), 401, "TOKEN_MISSING")


async def test_token_is_checked_before_the_query(http: httpx.AsyncClient) -> None:
    refused(await http.get("/v1/predictions?limit=nonsense"), 401, "TOKEN_MISSING")
