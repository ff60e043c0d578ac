"""The fixtures; pytest finds them wherever this distribution is installed."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from testkit.issuer import FakeIssuer, published_keys
from testkit.otlp import OtlpReceiver, running_receiver
from testkit.stores import PostgresStore, Store, running_postgres, running_redis


@pytest.fixture(scope="session")
def issuer() -> FakeIssuer:
    """Signs access tokens for `testkit.issuer.ISSUER` and `AUDIENCE`."""
    return FakeIssuer()


@pytest.fixture(scope="session")
def jwks_url(issuer: FakeIssuer) -> Iterator[str]:
    """Where the issuer's keys can be fetched."""
    with published_keys(issuer) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A durable Redis that all tests of a session share; a test that breaks one starts its own."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest_asyncio.fixture
async def redis(redis_server: Store) -> AsyncIterator[Redis]:
    """A client of an empty Redis."""
    client = Redis.from_url(redis_server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresStore]:
    """A PostgreSQL that all tests of a session share; each makes databases of its own."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """An OTLP receiver that starts empty."""
    with running_receiver() as receiver:
        yield receiver
