"""RFC 7523, JWTs for client authentication (private_key_jwt), and RFC 7521, which it profiles."""

import base64
import json
import time
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey
from redis.asyncio import Redis

from gateway.client_assertions import AssertionVerifier
from gateway.client_credentials import ASSERTION_TYPE
from gateway.domain import CLIENT_CREDENTIALS, Client
from gateway.oauth_answers import LoginRefused
from testkit.issuer import ISSUER
from testkit.stores import Store

from .conftest import ASSERTION_KEY, ED_KEY, RSA_KEY, Post, asserted, assertion, public, refused

GRANT = {"grant_type": CLIENT_CREDENTIALS}
NOW = int(time.time())


def unsigned() -> str:
    head, body, _ = assertion().split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"key-1"}').rstrip(b"=").decode()
    return f"{none}.{body}.{head[:0]}"


def signed_with_the_public_key() -> str:
    """HS256, the client's published key taken for a shared secret."""
    secret = OctKey.import_key(json.dumps(public(ASSERTION_KEY)))
    payload = base64.urlsafe_b64decode(assertion().split(".")[1] + "==")
    return jws.serialize_compact({"alg": "HS256", "kid": "key-1"}, payload, secret, ["HS256"])


async def test_2_2_client_authenticates_with_an_assertion(post: Post) -> None:
    answer = await post("token", None, **GRANT, **asserted(assertion()))
    assert answer.status_code == 200, answer.text


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS256", RSA_KEY), ("PS256", RSA_KEY), ("Ed25519", ED_KEY), ("EdDSA", ED_KEY)],
)
async def test_2_2_other_signatures_are_taken(post: Post, algorithm: str, key: Any) -> None:
    signed = assertion(key, header={"alg": algorithm, "kid": key.kid})
    assert (await post("token", None, **GRANT, **asserted(signed))).status_code == 200


async def test_2_2_key_is_found_without_its_id_where_one_fits(post: Post) -> None:
    signed = assertion(header={"kid": None})
    assert (await post("token", None, **GRANT, **asserted(signed))).status_code == 200


async def test_2_2_assertion_type_is_the_one_that_is_registered(post: Post) -> None:
    form = asserted(assertion()) | {"client_assertion_type": "urn:something:else"}
    refused(await post("token", None, **GRANT, **form), 400, "invalid_request")
    refused(
        await post("token", None, **GRANT, client_assertion=assertion()), 400, "invalid_request"
    )
    refused(
        await post("token", None, **GRANT, client_assertion_type=ASSERTION_TYPE),
        400,
        "invalid_request",
    )


async def test_rfc7521_4_2_client_id_beside_the_assertion_must_agree(post: Post) -> None:
    right = asserted(assertion(), client_id="signer")
    assert (await post("token", None, **GRANT, **right)).status_code == 200
    wrong = asserted(assertion(), client_id="client-1")
    refused(await post("token", None, **GRANT, **wrong), 401, "invalid_client")


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "client-1"}, id="3.1-issuer-is-the-client"),
        pytest.param({"iss": None}, id="3.1-issuer-is-there"),
        pytest.param({"sub": "client-1"}, id="3.2-subject-is-the-client"),
        pytest.param({"sub": None}, id="3.2-subject-is-there"),
        pytest.param({"sub": "nobody", "iss": "nobody"}, id="3.2-subject-is-a-client"),
        pytest.param({"sub": "client-1", "iss": "client-1"}, id="3.2-of-a-client-without-keys"),
        pytest.param({"aud": "https://somebody.else"}, id="3.3-audience-is-this-server"),
        pytest.param({"aud": None}, id="3.3-audience-is-there"),
        pytest.param({"aud": {"a": ISSUER}}, id="3.3-audience-is-text"),
        pytest.param({"exp": NOW - 60}, id="3.4-not-expired"),
        pytest.param({"exp": None}, id="3.4-expiry-is-there"),
        pytest.param({"exp": str(NOW + 60)}, id="3.4-expiry-is-a-number"),
        pytest.param({"exp": float("inf")}, id="3.4-expiry-is-finite"),
        pytest.param({"exp": NOW + 3600}, id="3.4-expiry-is-not-unreasonably-far"),
        pytest.param({"nbf": NOW + 3600}, id="3.5-valid-already"),
        pytest.param({"iat": NOW + 3600}, id="3.6-not-issued-in-the-future"),
        pytest.param({"jti": None}, id="3.7-id-is-there"),
        pytest.param({"jti": "x" * 257}, id="3.7-id-is-short"),
        pytest.param({"jti": 7}, id="3.7-id-is-text"),
    ],
)
async def test_3_claims(post: Post, claims: dict[str, Any]) -> None:
    answer = await post("token", None, **GRANT, **asserted(assertion(**claims)))
    refused(answer, 401, "invalid_client")


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/oauth2/token", ["x", ISSUER]])
async def test_3_3_issuer_and_token_endpoint_are_audiences(post: Post, audience: Any) -> None:
    answer = await post("token", None, **GRANT, **asserted(assertion(aud=audience)))
    assert answer.status_code == 200


async def test_3_7_assertion_is_used_once(post: Post) -> None:
    signed = assertion()
    assert (await post("token", None, **GRANT, **asserted(signed))).status_code == 200
    refused(await post("token", None, **GRANT, **asserted(signed)), 401, "invalid_client")
    # Of whichever endpoint.
    refused(await post("revoke", None, token="x", **asserted(signed)), 401, "invalid_client")


async def test_3_7_used_assertion_is_remembered_until_it_has_expired(
    post: Post, redis: Redis
) -> None:
    end = int(time.time()) + 200
    await post("token", None, **GRANT, **asserted(assertion(jti="once", exp=end)))
    left = await redis.ttl("weir:identity:jti:signer:once")
    assert end - time.time() <= left <= 210


async def test_3_7_while_nobody_knows_what_was_used_assertions_are_refused(
    post: Post, redis_server: Store
) -> None:
    redis_server.stop()
    try:
        answer = await post("token", None, **GRANT, **asserted(assertion()))
        refused(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await post("token", "client-1", **GRANT)).status_code == 200
    finally:
        redis_server.start_ready()


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(unsigned(), id="3.9-alg-none"),
        pytest.param(signed_with_the_public_key(), id="3.9-hmac-with-the-public-key"),
        pytest.param(
            assertion(ECKey.generate_key("P-256"), header={"kid": "key-1"}), id="3.9-foreign-key"
        ),
        pytest.param(
            assertion(RSA_KEY, header={"alg": "RS256", "kid": "key-1"}), id="3.9-key-of-other-type"
        ),
        pytest.param(assertion(header={"kid": "key-2"}), id="3.9-id-of-another-key"),
        pytest.param(assertion(header={"kid": "../key"}), id="3.9-unknown-key"),
        pytest.param(
            assertion(key := ECKey.generate_key("P-256"), header={"jwk": public(key), "kid": None}),
            id="3.9-key-that-it-brings-itself",
        ),
        pytest.param(assertion(header={"typ": "at+jwt"}), id="3.9-another-type"),
        pytest.param(
            assertion(ED_KEY, header={"alg": "Ed25519", "kid": "key-3"})[:-8] + "AAAAAAAA",
            id="3.9-edwards-signature-changed",
        ),
        pytest.param(assertion()[:-8] + "AAAAAAAA", id="3.9-signature-changed"),
        pytest.param("a.b.c", id="3.8-malformed"),
        pytest.param("", id="3.8-dots-are-missing"),
        pytest.param("é.é.é", id="3.8-not-ascii"),
    ],
)
async def test_3_signature(http: httpx.AsyncClient, signed: str) -> None:
    form = GRANT | asserted(signed or "x")
    refused(await http.post("/oauth2/token", data=form), 401, "invalid_client")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_3_unknown_client_costs_one_signature_check_too(
    monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    signer = Client("signer", "t", (), frozenset(), (), public_keys=(public(ASSERTION_KEY),))
    keyless = Client("keyless", "t", (), frozenset(), ())
    known = {client.client_id: client for client in (signer, keyless)}
    verifier = AssertionVerifier(known.get, [ISSUER])
    checked: list[object] = []

    def check(assertion: str, key: object, algorithm: str) -> bool:
        checked.append(key)
        return False

    monkeypatch.setattr("gateway.client_assertions._is_signed", check)
    key = ECKey.generate_key("P-256") if algorithm == "ES256" else RSA_KEY
    for client_id in ("signer", "keyless", "nobody"):
        signed = assertion(key, header={"alg": algorithm}, iss=client_id, sub=client_id)
        with pytest.raises(LoginRefused):
            verifier.verify(signed)
    assert len(checked) == 3
    assert len({type(one) for one in checked}) == 1
