"""POST /oauth2/token and the tokens that it issues."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from redis.asyncio import Redis

from gateway.assembly import Gateway
from gateway.client_credentials import ASSERTION_TYPE, credentials_of
from gateway.client_registry import ClientRegistry
from gateway.domain import GATEWAY_CLIENT_ID, SCOPES, Client
from gateway.secret_hashes import Pepper, hash_secret
from gateway.signing_keys import KeyRing, SigningKey
from gateway.token_issuer import ServiceToken, TokenIssuer
from servicekit.access_tokens import AccessTokenVerifier
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.events.v1 import events_pb2

from .conftest import PEPPER, SECRET

GRANT = {"grant_type": "client_credentials"}
Ask = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def ask(http: httpx.AsyncClient) -> Ask:
    """POSTs a token request with HTTP Basic; `basic=None` leaves it away."""

    async def call(
        form: dict[str, str] | bytes = b"grant_type=client_credentials",
        *,
        basic: bytes | None = b"client-1:the-secret",
        content_type: str = "application/x-www-form-urlencoded",
    ) -> httpx.Response:
        headers = {"content-type": content_type}
        if basic is not None:
            headers["authorization"] = "Basic " + base64.b64encode(basic).decode()
        if isinstance(form, bytes):
            return await http.post("/oauth2/token", content=form, headers=headers)
        return await http.post("/oauth2/token", data=form, headers=headers)

    return call


def refused(answer: httpx.Response, status: int, error: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


async def test_token_is_issued_for_basic_credentials(ask: Ask, issuer: FakeIssuer) -> None:
    answer = await ask()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert set(body["scope"].split()) == set(SCOPES)
    verifier = AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)
    principal = await verifier.verify(body["access_token"])
    assert (principal.client_id, principal.tenant) == ("client-1", "tenant-1")


async def test_token_is_as_rfc_9068_says(ask: Ask, issuer: FakeIssuer) -> None:
    token = (await ask()).json()["access_token"]
    decoded = jwt.decode(token, issuer.key, algorithms=["ES256"])
    assert decoded.header == {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    claims = decoded.claims
    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)
    assert (claims["sub"], claims["client_id"]) == ("client-1", "client-1")
    assert claims["exp"] - claims["iat"] == 600
    assert (
        claims["jti"] != jwt.decode((await ask()).json()["access_token"], issuer.key).claims["jti"]
    )


async def test_token_is_issued_for_credentials_in_the_form(ask: Ask) -> None:
    form = GRANT | {"client_id": "client-1", "client_secret": SECRET}
    assert (await ask(form, basic=None)).status_code == 200


async def test_basic_credentials_are_form_decoded(ask: Ask) -> None:
    assert (await ask(basic=b"client%2D1:the%2Dsecret")).status_code == 200


async def test_scope_can_be_narrowed(ask: Ask) -> None:
    answer = await ask(GRANT | {"scope": "models:read models:predict"})
    assert answer.json()["scope"] == "models:predict models:read"


async def test_empty_scope_counts_as_absent(ask: Ask) -> None:
    answer = await ask(b"grant_type=client_credentials&scope=")
    assert set(answer.json()["scope"].split()) == set(SCOPES)


async def test_unknown_scope_is_refused(ask: Ask) -> None:
    refused(await ask(GRANT | {"scope": "models:destroy"}), 400, "invalid_scope")


async def test_scope_that_the_client_does_not_have_is_refused(ask: Ask) -> None:
    answer = await ask(GRANT | {"scope": "drift:read"}, basic=b"frugal:the-secret")
    refused(answer, 400, "invalid_scope")


async def test_delegate_scope_is_never_issued(ask: Ask) -> None:
    refused(await ask(GRANT | {"scope": "delegate"}), 400, "invalid_scope")


async def test_wrong_secret_is_refused(ask: Ask) -> None:
    answer = await ask(basic=b"client-1:wrong")
    refused(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_unknown_client_is_refused_in_the_words_of_a_wrong_secret(ask: Ask) -> None:
    unknown, wrong = await ask(basic=b"nobody:x"), await ask(basic=b"client-1:wrong")
    assert unknown.content == wrong.content
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.headers["www-authenticate"] == wrong.headers["www-authenticate"]


async def test_unknown_client_in_the_form_is_refused_in_the_same_words(ask: Ask) -> None:
    unknown = await ask(GRANT | {"client_id": "nobody", "client_secret": "x"}, basic=None)
    wrong = await ask(GRANT | {"client_id": "client-1", "client_secret": "x"}, basic=None)
    assert unknown.content == wrong.content == (await ask(basic=b"nobody:x")).content


def test_unknown_client_costs_one_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("known", "t", (hash_secret(PEPPER, "right"),), frozenset(), ())
    registry = ClientRegistry([client], Pepper(PEPPER))
    hashed: list[str] = []

    def count(pepper: bytes, secret: str) -> str:
        hashed.append(secret)
        return hash_secret(pepper, secret)

    monkeypatch.setattr("gateway.secret_hashes.hash_secret", count)
    assert registry.authenticate("known", "wrong") is None
    assert registry.authenticate("unknown", "wrong") is None
    assert len(hashed) == 2


@pytest.mark.parametrize(
    "basic", [b"\xff\xfe:x", b"no-colon", b":", b"client-1:", b":the-secret", b"client-1:\xff"]
)
async def test_malformed_basic_credentials_are_refused(ask: Ask, basic: bytes) -> None:
    refused(await ask(basic=basic), 401, "invalid_client")


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Bearer x", "\x7f", "Basic é"])
async def test_malformed_authorization_header_is_refused(
    http: httpx.AsyncClient, header: str
) -> None:
    answer = await http.post(
        "/oauth2/token", data=GRANT, headers={"authorization": header.encode("latin-1")}
    )
    refused(answer, 401, "invalid_client")


async def test_no_credentials_are_refused(ask: Ask) -> None:
    refused(await ask(basic=None), 401, "invalid_client")


async def test_two_ways_of_authentication_are_refused(ask: Ask) -> None:
    form = GRANT | {"client_id": "client-1", "client_secret": SECRET}
    refused(await ask(form), 400, "invalid_request")


async def test_missing_grant_type_is_refused(ask: Ask) -> None:
    refused(await ask(b"scope=models:read"), 400, "invalid_request")


async def test_other_grant_type_is_refused(ask: Ask) -> None:
    refused(await ask(b"grant_type=password"), 400, "unsupported_grant_type")


async def test_parameter_given_twice_is_refused(ask: Ask) -> None:
    form = b"grant_type=client_credentials&grant_type=client_credentials"
    refused(await ask(form), 400, "invalid_request")


async def test_json_body_is_refused(ask: Ask) -> None:
    refused(await ask(b"{}", content_type="application/json"), 415, "invalid_request")


@pytest.mark.parametrize("form", [b"grant_type=\xff", b"grant_type=%ff", b"a=1&" * 30])
async def test_malformed_form_is_refused(ask: Ask, form: bytes) -> None:
    refused(await ask(form), 400, "invalid_request")


async def test_long_form_is_refused(ask: Ask) -> None:
    refused(await ask(b"grant_type=" + b"x" * 20_000), 413, "invalid_request")


async def test_get_is_no_way_to_a_token(http: httpx.AsyncClient) -> None:
    answer = await http.get("/oauth2/token")
    refused(answer, 405, "invalid_request")
    assert answer.headers["allow"] == "POST"


async def test_published_keys_verify_and_hold_nothing_private(
    http: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    (key,) = (await http.get("/.well-known/jwks.json")).json()["keys"]
    assert key["kid"] == issuer.key.kid
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert "d" not in key


async def test_metadata_names_what_exists(http: httpx.AsyncClient) -> None:
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == ISSUER
    assert metadata["token_endpoint"] == f"{ISSUER}/oauth2/token"
    assert metadata["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json"
    assert set(metadata["scopes_supported"]) == set(SCOPES)


async def test_issued_and_refused_tokens_are_audited(
    ask: Ask, gateway: Gateway, redis: Redis
) -> None:
    await ask()
    await ask(basic=b"nobody:x")
    await gateway.audit.flush()
    entries: Any = await redis.xrange("weir:audit")
    issued, refused = (events_pb2.AuditRecorded.FromString(e[b"data"]) for _, e in entries)
    assert (issued.action, issued.outcome) == ("token.issue", events_pb2.AUDIT_OUTCOME_ALLOWED)
    assert (issued.client_id, issued.tenant) == ("client-1", "tenant-1")
    assert (refused.outcome, refused.reason) == (
        events_pb2.AUDIT_OUTCOME_REFUSED,
        "client_unknown",
    )
    assert refused.client_id == "nobody"
    assert b"the-secret" not in repr(entries).encode()


async def test_service_token_is_renewed_before_it_expires(issuer: FakeIssuer) -> None:
    now = 1000.0
    tokens = TokenIssuer(
        KeyRing([SigningKey(issuer.key)]), issuer=ISSUER, audience=AUDIENCE, lifetime=600
    )
    source = ServiceToken(tokens, clock=lambda: now)
    first = await source()
    now += 539
    assert await source() == first
    now += 1
    second = await source()
    assert second != first
    verifier = AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE)
    principal = await verifier.verify(second)
    assert principal.client_id == GATEWAY_CLIENT_ID
    assert principal.scopes == {*SCOPES, "delegate"}


async def test_service_token_is_renewed_when_its_key_was_dropped(issuer: FakeIssuer) -> None:
    keys = KeyRing([SigningKey(issuer.key)])
    tokens = TokenIssuer(keys, issuer=ISSUER, audience=AUDIENCE, lifetime=600)
    source = ServiceToken(tokens)
    first = await source()
    keys.replace([SigningKey(ECKey.generate_key("P-256"))])
    assert await source() != first


def test_credentials_never_show_a_secret() -> None:
    secret = credentials_of({"client_id": "x", "client_secret": "hunter2"}, None)
    assertion = credentials_of(
        {"client_assertion": "hunter2", "client_assertion_type": ASSERTION_TYPE}, None
    )
    assert "hunter2" not in repr([secret, assertion])
