"""A person's text and name, from the client to the log: who reads them, and when nobody can."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import redis
import yaml

from testkit.platform import Platform, running_platform, wait_until
from weir_local.home import locked_home
from weir_local.identity import ensure_identity

TEXT = "Granny's parcel from Ulm never came, what a shame."
SUBJECT = "alice.m@example.org"
COMMENT = "Alice called twice about it."
SECRETS = [word.encode() for word in (TEXT, "parcel", SUBJECT, "alice", COMMENT)]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Platform]:
    """A platform whose demo tenant has its texts encrypted."""
    home = tmp_path_factory.mktemp("private")
    with locked_home(home) as locked:
        identity = ensure_identity(locked, "http://not-yet")
    clients = yaml.safe_load(identity.clients.read_text())
    clients["tenants"] = {"demo": {"input": "encrypted"}}
    identity.clients.write_text(yaml.safe_dump(clients))
    settings = {
        "WEIR_ERASURE_INTERVAL": "0.2",
        "WEIR_ERASURE_GRACE": "0",
        "WEIR_TRIM_INTERVAL": "0.2",
    }
    with running_platform(home, models, settings) as running:
        yield running


@pytest.fixture
def api(platform: Platform) -> Iterator[httpx.Client]:
    with platform.client() as client:
        yield client


def database_bytes(platform: Platform) -> bytes:
    """Every value of every row of every table."""
    return asyncio.run(_database_bytes(platform))


async def _database_bytes(platform: Platform) -> bytes:
    connection = await asyncpg.connect(
        platform.endpoints.postgres.replace("postgresql+asyncpg", "postgresql")
    )
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        found = bytearray()
        for (table,) in tables:
            for row in await connection.fetch(f"SELECT * FROM {table}"):
                for value in row:
                    found += value if isinstance(value, bytes) else str(value).encode()
                    found += b"\n"
        return bytes(found)
    finally:
        await connection.close()


def stream_bytes(platform: Platform) -> bytes:
    """Everything in the events Redis, and the files that it keeps it in."""
    with redis.Redis.from_url(platform.endpoints.events_redis) as client:
        keys = list(client.scan_iter())
        dumps = [client.dump(key) for key in keys]
        entries = [client.xrange(key) for key in keys if client.type(key) == b"stream"]
    files = [file.read_bytes() for file in platform.home.redis_events.rglob("*") if file.is_file()]
    return b"".join([*(dump for dump in dumps if dump), repr(entries).encode(), *files])


def log_bytes(platform: Platform) -> bytes:
    """What every program of the platform has printed, and the spans of every request."""
    files = [*(platform.home.path / "logs").glob("*"), platform.home.trace_file]
    return b"".join(file.read_bytes() for file in files if file.exists())


def nowhere(platform: Platform, secrets: list[bytes]) -> None:
    places = {
        "database": database_bytes(platform),
        "streams": stream_bytes(platform),
        "logs": log_bytes(platform),
    }
    for place, content in places.items():
        for secret in secrets:
            assert secret not in content, f"{secret!r} is in the {place}"


def read(api: httpx.Client, prediction_id: str) -> Any:
    answer = api.get(f"/v1/predictions/{prediction_id}", params={"include_input": True})
    return answer.json() if answer.status_code == 200 else None


def predicted(api: httpx.Client, text: str, subject: str) -> str:
    answer = api.post("/predict", json={"text": text, "subject": subject})
    answer.raise_for_status()
    identifier: str = answer.json()["prediction_id"]
    wait_until(lambda: read(api, identifier) is not None, "row", within=20.0)
    return identifier


def test_erased_person_is_nowhere_and_was_readable_nowhere_before(
    platform: Platform, api: httpx.Client
) -> None:
    hers, other = predicted(api, TEXT, SUBJECT), predicted(api, "Another one.", "bob")
    assert read(api, hers)["input_text"] == TEXT
    assert "input_text" not in api.get("/v1/predictions").json()["predictions"][0]
    nowhere(platform, SECRETS)

    path = f"/v1/predictions/{hers}"
    api.post(f"{path}/feedback", json={"correct_label": "negative", "comment": COMMENT})
    wait_until(lambda: api.get(path).json()["feedback"] is not None, "feedback", within=20.0)
    assert COMMENT.encode() in database_bytes(platform)
    digest = read(api, hers)["input_sha256"]

    answer = api.post("/v1/erasures", json={"subject": SUBJECT})
    assert answer.status_code == 202
    # From this moment on.
    assert read(api, hers)["input_text"] is None
    erasure = answer.headers["location"]
    wait_until(lambda: api.get(erasure).json()["state"] == "complete", "erasure", within=30.0)
    assert api.get(erasure).json()["redacted"] == 1
    row = read(api, hers)
    assert (row["erased"], row["input_sha256"], row["request_id"]) == (True, "", "")
    assert row["feedback"]["comment"] is None
    assert row["label"] in {"negative", "positive"}
    assert bytes.fromhex(digest) not in database_bytes(platform)
    nowhere(platform, [secret for secret in SECRETS if secret != COMMENT.encode()])
    assert COMMENT.encode() not in database_bytes(platform)
    with redis.Redis.from_url(platform.endpoints.events_redis) as client:
        assert client.xlen("weir:feedback") == 0

    assert read(api, other)["input_text"] == "Another one."
    again = predicted(api, TEXT, SUBJECT)
    assert read(api, again)["input_text"] == TEXT
    wait_until(lambda: b"subject.erase" in database_bytes(platform), "audit", within=20.0)
