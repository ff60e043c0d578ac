"""Replacing, rotating and migrating while everybody goes on asking: no request fails.

`make rolling-restarts` does the first for ten thousand requests and more.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from joserfc import jws

from chaos.books import compare, wait_until_drained
from gateway.key_rotation import DEFAULT_LEAD, rotate
from lifecycle.cluster import REPLICAS, Cluster, run_once, running_cluster
from lifecycle.load import Load, Tokens, under_load
from prediction_log.database import database_url
from prediction_log.migrate import downgrade, schema_revisions
from testkit.waiting import until

CLIENTS = 4
ONE_EACH = dict.fromkeys(REPLICAS, 1)
REQUESTS = 150
"""At least so many while a service is replaced, and after it was."""
UNTIL_SIGNING = timedelta(seconds=8)
"""Services ask for the published keys again after 5 s at the earliest."""
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, models: Path) -> AsyncIterator[Cluster]:
    home = tmp_path_factory.mktemp("cluster") / "home"
    async with running_cluster(home, models, ONE_EACH) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def load(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Load]:
    file = tmp_path_factory.mktemp("load") / "ledger.txt"
    async with under_load(cluster, file, clients=CLIENTS) as running:
        yield running


@pytest.mark.parametrize("service", REPLICAS)
async def test_replacing_a_service_fails_no_request(
    cluster: Cluster, load: Load, service: str
) -> None:
    asking = asyncio.create_task(load.until_more(REQUESTS))
    deployment = cluster.deployments[service]
    await deployment.roll()
    await asking
    await load.until_more(REQUESTS)
    assert load.failures == []
    assert deployment.exit_codes == [0]


def _key_of(token: str) -> str:
    key: str = jws.extract_compact(token.encode()).headers()["kid"]
    return key


async def test_rotating_the_signing_keys_fails_no_request(cluster: Cluster, load: Load) -> None:
    tokens = Tokens(cluster)
    old = await tokens.fetch()
    asking = asyncio.create_task(load.until_more(REQUESTS))
    # As if the lead had nearly passed.
    rotate(cluster.identity.signing_keys, now=datetime.now(UTC) - DEFAULT_LEAD + UNTIL_SIGNING)
    async with httpx.AsyncClient(base_url=cluster.endpoints.http, timeout=20.0) as http:

        async def published() -> set[str]:
            answer = await http.get("/.well-known/jwks.json")
            return {key["kid"] for key in answer.raise_for_status().json()["keys"]}

        async def two_are_published() -> bool:
            return len(await published()) == 2

        async def another_signs() -> bool:
            return _key_of(await tokens.fetch()) != _key_of(old)

        await until(two_are_published, 60)
        assert _key_of(await tokens.fetch()) == _key_of(old)
        await until(another_signs, 60)
        assert _key_of(await tokens.fetch()) in await published()
        bearer = {"authorization": f"Bearer {old}"}
        assert (await http.get("/v1/predictions", headers=bearer)).status_code == 200
    await asking
    await load.until_more(REQUESTS)
    assert load.failures == []


async def test_migrating_back_and_forward_by_one_fails_no_request(
    cluster: Cluster, load: Load
) -> None:
    log = cluster.deployments["prediction_log"]
    today = log.spec
    launcher = str(Path(__file__).with_name("release_before.py"))
    await log.roll(replace(today, command=[sys.executable, "-P", launcher]))
    # What goes back last comes first again: the schema fits the newer of two releases.
    before = schema_revisions()[-2]
    await downgrade(database_url(cluster.endpoints.postgres), wait=10, revision=before)
    await load.until_more(REQUESTS)
    await run_once(cluster.migrations)
    await load.until_more(REQUESTS)
    await log.roll(today)
    await load.until_more(REQUESTS)
    assert load.failures == []


async def test_every_answered_prediction_is_one_row_after_all_that(
    cluster: Cluster, load: Load
) -> None:
    await load.end()
    await asyncio.to_thread(wait_until_drained, cluster.endpoints, 60.0)
    books = await asyncio.to_thread(compare, cluster.endpoints, load.ledger)
    assert books.complaints == []
    assert books.unasked == 0
    assert books.rows == len(load.ledger.acknowledged) > REQUESTS
