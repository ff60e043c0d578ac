"""Clients of every kind at the authorization server of a whole gateway."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.client_credentials import ASSERTION_TYPE
from gateway.domain import CLIENT_CREDENTIALS, TOKEN_EXCHANGE
from gateway.secret_hashes import hash_secret
from gateway.token_endpoint import ACCESS_TOKEN_TYPE
from testkit.issuer import ISSUER

from ..conftest import PEPPER, SECRET

OTHER_AUDIENCE = "https://reports.test/api"
ASSERTION_KEY = ECKey.generate_key("P-256", {"kid": "key-1"})
RSA_KEY = RSAKey.generate_key(2048, {"kid": "key-2"})
ED_KEY = OKPKey.generate_key("Ed25519", {"kid": "key-3"})

Answer = Awaitable[httpx.Response]
Post = Callable[..., Answer]


def public(key: ECKey | RSAKey | OKPKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def client(client_id: str, *scopes: str, tenant: str = "tenant-1", **more: Any) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "tenant": tenant,
        "secret_hashes": [hash_secret(PEPPER, SECRET)],
        "scopes": list(scopes),
        **more,
    }


@pytest.fixture
def clients() -> list[dict[str, Any]]:
    return [
        client("client-1", "models:predict", "models:read", "predictions:read"),
        client(
            "signer",
            "models:predict",
            public_keys=[public(ASSERTION_KEY), public(RSA_KEY), public(ED_KEY)],
        ),
        client("neighbour", "models:predict", grant_types=[CLIENT_CREDENTIALS]),
        client("keys-only", "models:predict", grant_types=[]),
        client("foreigner", "models:predict", tenant="tenant-2"),
        client("resources", "tokens:introspect"),
        client("platform", "tokens:introspect", tenant="weir"),
    ]


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    settings["audiences"] = (OTHER_AUDIENCE, "reports")
    return settings


@pytest_asyncio.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Without services behind the gateway: the authorization server needs none."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.fixture
def post(http: httpx.AsyncClient) -> Post:
    """POSTs a form as a client with its secret, or with `credentials` of its own in the form."""

    async def call(path: str, client_id: str | None = "client-1", /, **form: Any) -> httpx.Response:
        auth = (client_id, SECRET) if client_id else None
        return await http.post(f"/oauth2/{path}", data=form, auth=auth)

    return call


@pytest.fixture
def issue(post: Post) -> Callable[..., Awaitable[str]]:
    """An access token of a client."""

    async def call(client_id: str = "client-1", /, **form: Any) -> str:
        answer = await post("token", client_id, grant_type=CLIENT_CREDENTIALS, **form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    return call


@pytest.fixture
def exchange(post: Post) -> Post:
    """A token exchange; what is None is left away."""

    async def call(
        token: str, client_id: str | None = "client-1", /, **form: Any
    ) -> httpx.Response:
        sent = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN_TYPE,
        } | form
        sent = {name: value for name, value in sent.items() if value is not None}
        return await post("token", client_id, **sent)

    return call


def assertion(
    key: Any = ASSERTION_KEY, *, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """A good client assertion of `signer`; what is None is left away."""
    now = int(time.time())
    content = {
        "iss": "signer",
        "sub": "signer",
        "aud": ISSUER,
        "jti": uuid4().hex,
        "exp": now + 240,
    } | claims
    content = {name: value for name, value in content.items() if value is not None}
    head = {"alg": "ES256", "kid": "key-1"} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    return jwt.encode(head, content, key, algorithms=[head["alg"]])


def asserted(signed: str, **form: Any) -> dict[str, Any]:
    """The form of a client that authenticates with an assertion."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed} | form


def claims_of(answer: httpx.Response, key: ECKey) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict(jwt.decode(answer.json()["access_token"], key, algorithms=["ES256"]).claims)


def refused(answer: httpx.Response, status: int, error: str) -> httpx.Response:
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer
