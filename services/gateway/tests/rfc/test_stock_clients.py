"""The flows, driven by clients that others wrote, over real HTTP.

They block, and the server is in this thread's loop; so they run in another.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from fastapi import FastAPI
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests_oauthlib import OAuth2Session

from gateway.domain import CLIENT_CREDENTIALS, TOKEN_EXCHANGE
from gateway.http_server import listen, serve
from gateway.settings import HttpSettings
from gateway.token_endpoint import ACCESS_TOKEN_TYPE
from testkit.issuer import ISSUER

from ..conftest import SECRET
from .conftest import ASSERTION_KEY


@pytest_asyncio.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    listener = listen("127.0.0.1", 0)
    serving = asyncio.create_task(serve(app, listener, HttpSettings(shutdown_grace=0)))
    host, port = listener.getsockname()[:2]
    yield f"http://{host}:{port}"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture(autouse=True)
def plain_http_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_gets_a_token_by_secret(url: str, method: str) -> None:
    def work() -> dict[str, Any]:
        with AuthlibSession(
            "client-1", SECRET, token_endpoint_auth_method=method, scope="models:read"
        ) as client:
            return dict(client.fetch_token(f"{url}/oauth2/token", grant_type=CLIENT_CREDENTIALS))

    token = await asyncio.to_thread(work)
    assert token["scope"] == "models:read"
    assert token["expires_at"] > time.time() + 500


async def test_authlib_gets_a_token_by_assertion(url: str) -> None:
    # Left alone, authlib lets an assertion live for an hour; five minutes are taken.
    soon = {"exp": int(time.time()) + 120}
    method = PrivateKeyJWT(ISSUER, alg="ES256", headers={"kid": "key-1"}, claims=soon)

    def work() -> dict[str, Any]:
        with AuthlibSession(
            "signer", ASSERTION_KEY, token_endpoint_auth_method=method.name
        ) as client:
            client.register_client_auth_method(method)
            return dict(client.fetch_token(f"{url}/oauth2/token", grant_type=CLIENT_CREDENTIALS))

    assert (await asyncio.to_thread(work))["token_type"] == "Bearer"


async def test_authlib_exchanges_introspects_and_revokes(url: str) -> None:
    def work() -> tuple[dict[str, Any], int]:
        with (
            AuthlibSession("client-1", SECRET) as client,
            AuthlibSession("resources", SECRET) as resources,
        ):
            address = f"{url}/oauth2/token"
            token = client.fetch_token(address, grant_type=CLIENT_CREDENTIALS)
            narrow = client.fetch_token(
                address,
                grant_type=TOKEN_EXCHANGE,
                subject_token=token["access_token"],
                subject_token_type=ACCESS_TOKEN_TYPE,
                scope="models:read",
            )["access_token"]
            told = resources.introspect_token(f"{url}/oauth2/introspect", token=narrow)
            revoked = client.revoke_token(f"{url}/oauth2/revoke", token=narrow)
            return told.json(), revoked.status_code

    told, revoked = await asyncio.to_thread(work)
    assert (told["active"], told["scope"]) == (True, "models:read")
    assert revoked == 200


async def test_requests_oauthlib_gets_and_uses_a_token(url: str) -> None:
    def work() -> tuple[dict[str, Any], int]:
        client = BackendApplicationClient("client-1", scope=["models:read"])
        with OAuth2Session(client=client) as session:
            token = session.fetch_token(f"{url}/oauth2/token", client_secret=SECRET)
            return dict(token), session.get(f"{url}/v1/audit-nothing").status_code

    token, status = await asyncio.to_thread(work)
    assert token["scope"] == ["models:read"]
    assert status == 404


async def test_requests_oauthlib_understands_a_refusal(url: str) -> None:
    def work() -> None:
        with OAuth2Session(client=BackendApplicationClient("client-1")) as session:
            session.fetch_token(f"{url}/oauth2/token", client_secret="wrong")

    with pytest.raises(InvalidClientError):
        await asyncio.to_thread(work)
