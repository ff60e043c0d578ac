"""A client that costs a start nothing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from servicekit.bounded_fetch import FetchFailed, fetch_json
from servicekit.late_http import LateHttp
from testkit.issuer import FakeIssuer, published_keys
from testkit.platform import free_port


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[httpx.AsyncClient]:
    """The clients that were made."""
    clients: list[httpx.AsyncClient] = []
    make = httpx.AsyncClient

    def noted(**options: Any) -> httpx.AsyncClient:
        clients.append(make(**options))
        return clients[-1]

    monkeypatch.setattr(httpx, "AsyncClient", noted)
    return clients


@pytest.fixture
def url(issuer: FakeIssuer) -> Iterator[str]:
    with published_keys(issuer) as url:
        yield url


async def test_one_client_is_made_with_the_first_requests_and_closed_at_the_end(
    made: list[httpx.AsyncClient], url: str
) -> None:
    async with LateHttp(timeout=5.0) as http:
        assert not made
        documents = await asyncio.gather(*(fetch_json(http, url) for _ in range(5)))
        assert all(document.content["keys"] for document in documents)
        (client,) = made
        assert not client.is_closed
    assert client.is_closed


async def test_who_never_asks_never_has_one(made: list[httpx.AsyncClient]) -> None:
    async with LateHttp(timeout=5.0):
        pass
    assert not made


async def test_a_server_that_is_away_is_told_as_by_any_client() -> None:
    async with LateHttp(timeout=5.0) as http:
        with pytest.raises(FetchFailed, match="ConnectError"):
            await fetch_json(http, f"http://127.0.0.1:{free_port()}/jwks.json")
