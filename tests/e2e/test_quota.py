"""A client with a small quota, made with the gateway's own command."""

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from testkit.platform import Platform

LIMIT = 10


@pytest.fixture
def frugal(platform: Platform) -> Iterator[httpx.Client]:
    """A client that may predict ten items in an hour."""
    credentials = create_client(platform)
    platform.process("gateway").stop()
    platform.start("gateway")
    platform.wait_until_health("healthy")
    token = httpx.post(
        f"{platform.endpoints.http}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=credentials,
    ).json()["access_token"]
    with platform.client(token) as client:
        yield client


def create_client(platform: Platform) -> tuple[str, str]:
    identity = platform.home.identity
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gateway", "create-client"),
            *("--clients-file", str(identity / "clients.yaml")),
            *("--pepper-file", str(identity / "pepper")),
            *("--client-id", "frugal", "--tenant", "frugal", "--scope", "models:predict"),
            *("--limit", str(LIMIT), "--window", "3600"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    client = json.loads(done.stdout)
    return client["client_id"], client["client_secret"]


def test_quota_is_exact_told_and_costs_nothing_when_refused(frugal: httpx.Client) -> None:
    def predict(texts: int) -> httpx.Response:
        return frugal.post("/predict/batch", json={"texts": ["Good."] * texts})

    too_many = predict(LIMIT + 1)
    assert too_many.status_code == 422
    assert "retry-after" not in too_many.headers

    assert frugal.post("/predict", json={"text": ""}).status_code == 422
    first = predict(6)
    assert first.status_code == 200
    assert f"q={LIMIT};w=3600" in first.headers["ratelimit-policy"]
    assert "r=4" in first.headers["ratelimit"]

    refused = predict(5)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 3660
    assert refused.headers["content-type"].startswith("application/problem+json")

    assert predict(4).status_code == 200
    assert frugal.post("/predict", json={"text": "One more."}).status_code == 429
