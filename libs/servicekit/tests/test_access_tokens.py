"""Which bearer tokens are believed."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.errors import Unauthenticated, Unavailable
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer


def verifier(issuer: FakeIssuer, clock: Callable[[], float] = time.time) -> AccessTokenVerifier:
    return AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE, clock=clock)


async def test_principal_tells_every_claim_of_its_token(issuer: FakeIssuer) -> None:
    principal = await verifier(issuer).verify(issuer.token("a", plan={"colour": "blue"}))
    assert principal.claims["plan"] == {"colour": "blue"}
    assert "blue" not in repr(principal)


async def test_valid_token_gives_its_principal(issuer: FakeIssuer) -> None:
    token = issuer.token("a", "b:c", client_id="c-1", tenant="acme")
    principal = await verifier(issuer).verify(token)
    assert (principal.client_id, principal.tenant) == ("c-1", "acme")
    assert principal.scopes == {"a", "b:c"}


async def test_only_a_token_that_was_verified_is_remembered(issuer: FakeIssuer) -> None:
    now = time.time()
    tokens = verifier(issuer, lambda: now)
    token = issuer.token("a")
    assert tokens.remembered(token) is None
    principal = await tokens.verify(token)
    assert tokens.remembered(token) == principal
    assert tokens.remembered(token + "x") is None
    now += 7200
    with pytest.raises(Unauthenticated):
        tokens.remembered(token)
    assert tokens.remembered(token) is None


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE, "another"]])
async def test_audience_may_be_one_or_a_list(issuer: FakeIssuer, audience: object) -> None:
    assert await verifier(issuer).verify(issuer.token(aud=audience))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://somebody.else"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"client_id": None},
        {"client_id": ""},
        {"tenant": None},
        {"jti": None},
        {"scope": None},
        {"scope": ["a"]},
    ],
)
async def test_token_with_a_wrong_claim_is_refused(
    issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await verifier(issuer).verify(issuer.token(**claims))
    assert caught.value.code == "TOKEN_INVALID"


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": ""}, {"kid": "unknown"}])
async def test_token_with_a_wrong_header_is_refused(
    issuer: FakeIssuer, header: dict[str, str]
) -> None:
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(issuer.token(header=header))


async def test_expired_token_is_refused_with_its_own_reason(issuer: FakeIssuer) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await verifier(issuer).verify(issuer.token(exp=int(time.time()) - 6))
    assert caught.value.code == "TOKEN_EXPIRED"


async def test_remembered_token_expires_too(issuer: FakeIssuer) -> None:
    now = time.time()
    subject = verifier(issuer, lambda: now)
    token = issuer.token()
    await subject.verify(token)
    now += 3600
    with pytest.raises(Unauthenticated, match="expired"):
        await subject.verify(token)


def _encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _claims_of(token: str) -> str:
    return token.split(".")[1]


async def test_unsigned_token_is_refused(issuer: FakeIssuer) -> None:
    header = _encode({"alg": "none", "typ": "at+jwt", "kid": issuer.key.kid})
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(f"{header}.{_claims_of(issuer.token())}.")


async def test_public_key_is_no_shared_secret(issuer: FakeIssuer) -> None:
    secret = OctKey.import_key(json.dumps(issuer.key.as_dict(private=False)))
    header = {"alg": "HS256", "typ": "at+jwt", "kid": issuer.key.kid}
    payload = json.loads(base64.urlsafe_b64decode(_claims_of(issuer.token()) + "=="))
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(jwt.encode(header, payload, secret))


async def test_key_in_the_header_is_not_used(issuer: FakeIssuer) -> None:
    own = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid}
    payload = json.loads(base64.urlsafe_b64decode(_claims_of(issuer.token()) + "=="))
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(
            jwt.encode(header | {"jwk": own.as_dict(private=False)}, payload, own)
        )


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c", "e30.e30.e30", "\ud800.x.y", "x" * 100_000, "é.é.é"]
)
async def test_anything_else_is_refused(issuer: FakeIssuer, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(token)


class KeyServer:
    """An issuer's JWKS endpoint that can be taken away."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.content: object = issuer.jwks()
        self.status = 200
        self.requests = 0
        self.now = 0.0

    def answer(self, _: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(self.status, json=self.content)

    def source(self) -> RemoteKeySource:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return RemoteKeySource("https://issuer.test/jwks", http, clock=lambda: self.now)


async def test_keys_are_fetched_once(issuer: FakeIssuer) -> None:
    server = KeyServer(issuer)
    keys = server.source()
    for _ in range(3):
        assert await keys.find(str(issuer.key.kid))
    assert server.requests == 1


async def test_unknown_keys_cannot_flood_the_issuer(issuer: FakeIssuer) -> None:
    server = KeyServer(issuer)
    keys = server.source()
    for number in range(100):
        assert await keys.find(f"unknown-{number}") is None
    assert server.requests == 1


async def test_rotated_key_is_found_after_the_interval(issuer: FakeIssuer) -> None:
    server = KeyServer(issuer)
    keys = server.source()
    await keys.find(str(issuer.key.kid))
    successor = FakeIssuer()
    server.content = successor.jwks()
    server.now = 60
    assert await keys.find(str(successor.key.kid))


@pytest.mark.parametrize(("status", "content"), [(0, {}), (500, {}), (200, []), (200, {"keys": 1})])
async def test_without_any_keys_the_issuer_is_unavailable(
    issuer: FakeIssuer, status: int, content: object
) -> None:
    server = KeyServer(issuer)
    server.status, server.content = status, content
    with pytest.raises(Unavailable) as caught:
        await server.source().find("any")
    assert caught.value.code == "ISSUER_UNAVAILABLE"


async def test_last_good_keys_stay_while_the_issuer_is_away(issuer: FakeIssuer) -> None:
    server = KeyServer(issuer)
    keys = server.source()
    await keys.find(str(issuer.key.kid))
    server.status, server.now = 0, 60
    assert await keys.find("unknown") is None
    assert await keys.find(str(issuer.key.kid))
