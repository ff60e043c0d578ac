"""A whole gateway in the test's process, before real gRPC servers whose answers tests choose."""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from gateway.assembly import Gateway, assembled
from gateway.domain import SCOPES
from gateway.secret_hashes import hash_secret
from gateway.settings import Settings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from testkit.stores import Store

from .backends import Backends, running_backends

PEPPER = bytes(range(32))
SECRET = "the-secret"

Call = Callable[..., Any]


@pytest.fixture
def clients() -> list[dict[str, Any]]:
    """The clients file's entries; a test may change them before it uses the gateway."""
    return [
        {
            "client_id": "client-1",
            "tenant": "tenant-1",
            "secret_hashes": [hash_secret(PEPPER, SECRET)],
            "scopes": list(SCOPES),
            "quotas": [{"limit": 1000, "window_seconds": 60}],
        },
        {
            "client_id": "frugal",
            "tenant": "tenant-1",
            "secret_hashes": [hash_secret(PEPPER, SECRET)],
            "scopes": ["models:predict"],
            "quotas": [
                {"limit": 3, "window_seconds": 60},
                {"limit": 1000, "window_seconds": 3600},
            ],
        },
        _administrator("client-2", "tenant-2"),
        _administrator("root", "weir"),
    ]


def _administrator(client_id: str, tenant: str) -> dict[str, Any]:
    hashes = [hash_secret(PEPPER, SECRET)]
    return {
        "client_id": client_id,
        "tenant": tenant,
        "secret_hashes": hashes,
        "scopes": list(SCOPES),
    }


@pytest.fixture
def tenants() -> dict[str, Any]:
    """The clients file's tenants."""
    return {}


@pytest_asyncio.fixture
async def backends(tmp_path: Path, issuer: FakeIssuer) -> AsyncIterator[Backends]:
    async with running_backends(tmp_path, issuer) as running:
        yield running


@pytest.fixture
def settings(
    tmp_path: Path, issuer: FakeIssuer, redis: Redis, redis_server: Store
) -> dict[str, Any]:
    """Settings' fields; a test may change them before it uses the gateway."""
    (tmp_path / "signing-keys").mkdir()
    key = issuer.key.as_pem(private=True)
    (tmp_path / "signing-keys" / "key.pem").write_bytes(key)
    (tmp_path / "pepper").write_text(PEPPER.hex())
    return {
        "signing_keys_dir": tmp_path / "signing-keys",
        "pepper_file": tmp_path / "pepper",
        "clients_file": tmp_path / "clients.yaml",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "quota_redis_url": redis_server.url,
        "events_redis_url": redis_server.url,
        # Long enough for a machine that does other things as well.
        "quota_timeout": 5.0,
        "inference_target": f"unix:{tmp_path}/inference.sock",
        "prediction_log_target": f"unix:{tmp_path}/log.sock",
        "drift_target": f"unix:{tmp_path}/drift.sock",
        "health_cache_seconds": 0.0,
    }


@pytest_asyncio.fixture
async def gateway(
    settings: dict[str, Any],
    clients: list[dict[str, Any]],
    tenants: dict[str, Any],
    tracer_provider: TracerProvider,
) -> AsyncIterator[Gateway]:
    settings["clients_file"].write_text(yaml.safe_dump({"tenants": tenants, "clients": clients}))
    async with assembled(Settings(**settings), tracer_provider) as gateway:
        # As if the stream of revocations had been read, and nothing was on it.
        gateway.revocations.revocations.complete = True
        yield gateway


@pytest.fixture
def tracer_provider() -> TracerProvider:
    return TracerProvider(shutdown_on_exit=False)


@pytest.fixture
def app(gateway: Gateway) -> FastAPI:
    return gateway.app


@pytest_asyncio.fixture
async def http(app: FastAPI, backends: Backends) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.fixture
def predict(http: httpx.AsyncClient, issuer: FakeIssuer) -> Call:
    """POSTs JSON with a token that may predict; `path`, `token`, `content` and headers bend it."""

    async def call(
        json: object = None,
        *,
        path: str = "/predict",
        token: str | None = None,
        content: bytes | None = None,
        **headers: str,
    ) -> httpx.Response:
        bearer = token if token is not None else issuer.token("models:predict")
        sent = {"authorization": f"Bearer {bearer}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if content is None:
            return await http.post(path, json=json, headers=sent)
        return await http.post(path, content=content, headers=sent)

    return call


@pytest.fixture
def get(http: httpx.AsyncClient, issuer: FakeIssuer) -> Call:
    async def call(path: str, *scopes: str, **parameters: str) -> httpx.Response:
        token = issuer.token(*(scopes or SCOPES))
        return await http.get(path, params=parameters, headers={"authorization": f"Bearer {token}"})

    return call


@pytest.fixture
def administer(http: httpx.AsyncClient, issuer: FakeIssuer) -> Call:
    """Calls a route as an administrator; `who` is a client and its tenant."""

    async def call(
        method: str,
        path: str,
        json: object = None,
        *,
        who: tuple[str, str] = ("client-1", "tenant-1"),
        scopes: Iterable[str] = SCOPES,
        **headers: str,
    ) -> httpx.Response:
        token = issuer.token(*scopes, client_id=who[0], tenant=who[1])
        sent = {"authorization": f"Bearer {token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.request(method, path, json=json, headers=sent)

    return call
