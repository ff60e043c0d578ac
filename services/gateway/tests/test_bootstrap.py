"""POST /v1/bootstrap: the first administrator."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from gateway.assembly import Gateway, assembled
from gateway.bootstrap import BootstrapSecretInvalid, load_bootstrap_secret
from gateway.roles import scopes_of
from gateway.settings import Settings
from weir.events.v1 import events_pb2

from .test_predict import refused

SECRET = "b" * 40
BODY = {"bootstrap_secret": SECRET}


@pytest.fixture
def settings(settings: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "bootstrap").write_text(SECRET + "\n")
    return settings | {"bootstrap_secret_file": tmp_path / "bootstrap"}


async def test_first_administrator_can_do_everything_and_is_made_once_ever(
    http: httpx.AsyncClient,
    gateway: Gateway,
    redis: Redis,
    settings: dict[str, Any],
    tracer_provider: TracerProvider,
) -> None:
    wrong = await http.post("/v1/bootstrap", json={"bootstrap_secret": "wrong"})
    refused(wrong, 401, "BOOTSTRAP_REFUSED")
    taken = await http.post("/v1/bootstrap", json=BODY | {"client_id": "root"})
    refused(taken, 409, "CLIENT_EXISTS")
    answer = await http.post("/v1/bootstrap", json=BODY)
    assert answer.status_code == 201, answer.text
    admin = answer.json()
    assert (admin["client_id"], admin["tenant"]) == ("admin", "weir")
    assert set(admin["allowed"]) >= scopes_of(["operator", "analyst", "admin"])
    grant = {"grant_type": "client_credentials"}
    auth = ("admin", admin["client_secret"])
    token = (await http.post("/oauth2/token", data=grant, auth=auth)).json()["access_token"]
    new = await http.post(
        "/v1/clients",
        json={"client_id": "a", "tenant": "acme", "roles": ["admin", "analyst"]},
        headers={"authorization": f"Bearer {token}"},
    )
    assert new.status_code == 201, new.text
    refused(await http.post("/v1/bootstrap", json=BODY), 409, "BOOTSTRAP_USED")
    async with assembled(Settings(**settings), tracer_provider) as another:
        transport = httpx.ASGITransport(another.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as elsewhere:
            used = await elsewhere.post("/v1/bootstrap", json=BODY | {"client_id": "b"})
            refused(used, 409, "BOOTSTRAP_USED")
    await gateway.audit.flush()
    entries: Any = await redis.xrange("weir:audit")
    events = [events_pb2.AuditRecorded.FromString(entry[b"data"]) for _, entry in entries]
    reasons = [event.reason for event in events if event.action == "bootstrap"]
    assert reasons == ["BOOTSTRAP_REFUSED", "CLIENT_EXISTS", "", "BOOTSTRAP_USED"]
    assert SECRET not in repr(entries)


async def test_without_a_secret_there_is_no_such_route(
    settings: dict[str, Any], tracer_provider: TracerProvider
) -> None:
    settings["clients_file"].write_text(yaml.safe_dump({"clients": []}))
    without = settings | {"bootstrap_secret_file": None}
    async with assembled(Settings(**without), tracer_provider) as gateway:
        transport = httpx.ASGITransport(gateway.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            refused(await http.post("/v1/bootstrap", json=BODY), 404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("content", ["", "short", b"\xff" * 40])
def test_weak_secret_is_refused_at_the_start(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BootstrapSecretInvalid, match="bootstrap secret"):
        load_bootstrap_secret(file)


def test_missing_secret_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BootstrapSecretInvalid, match="cannot be read"):
        load_bootstrap_secret(tmp_path / "missing")
