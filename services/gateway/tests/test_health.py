"""What /health and /health/ready say of the gateway and of what is behind it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.health_checks import HealthChecks
from gateway.inference_client import InferenceClient
from testkit.stores import Store, running_redis

from .backends import Backends


async def health(http: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await http.get("/health")
    return answer.status_code, answer.json()


async def test_all_well_is_healthy(http: httpx.AsyncClient) -> None:
    status, body = await health(http)
    assert (status, body["status"], body["model_loaded"]) == (200, "healthy", True)
    assert set(body["components"]) == {
        *("inference", "models", "prediction_log", "drift", "quota", "events", "identity"),
    }
    for component in body["components"].values():
        assert component["status"] == "healthy"
        assert component["latency_ms"] >= 0


@pytest.mark.parametrize(("server", "name"), [("log", "prediction_log"), ("drift", "drift")])
async def test_service_that_predictions_do_not_need_degrades(
    http: httpx.AsyncClient, backends: Backends, server: str, name: str
) -> None:
    await backends.stop(server)
    status, body = await health(http)
    assert (status, body["status"], body["model_loaded"]) == (200, "degraded", True)
    assert body["components"][name]["status"] == "unhealthy"


async def test_broken_version_beside_a_good_one_is_degraded(
    http: httpx.AsyncClient, backends: Backends
) -> None:
    await backends.servers["inference"].set_serving(False, service="models")
    status, body = await health(http)
    assert (status, body["status"]) == (200, "degraded")
    assert body["components"]["models"]["status"] == "unhealthy"
    assert body["components"]["inference"]["status"] == "healthy"


async def test_inference_away_is_unhealthy(http: httpx.AsyncClient, backends: Backends) -> None:
    await backends.stop("inference")
    status, body = await health(http)
    assert (status, body["status"], body["model_loaded"]) == (503, "unhealthy", False)


async def test_inference_without_a_model_is_unhealthy(
    http: httpx.AsyncClient, backends: Backends
) -> None:
    await backends.servers["inference"].set_serving(False)
    assert (await health(http))[0] == 503
    assert (await http.get("/health/ready")).status_code == 503
    assert (await http.get("/health/live")).status_code == 200


async def test_inference_that_may_not_predict_is_unhealthy_and_still_the_one_to_ask(
    http: httpx.AsyncClient, backends: Backends
) -> None:
    await backends.servers["inference"].set_serving(False, service=InferenceClient.SERVICE)
    status, body = await health(http)
    assert (status, body["status"], body["model_loaded"]) == (503, "unhealthy", True)
    assert (await http.get("/health/ready")).status_code == 200


async def test_ready_when_predictions_can_be_made(
    http: httpx.AsyncClient, backends: Backends
) -> None:
    await backends.stop("log")
    assert (await http.get("/health/ready")).status_code == 200


class TestWithAQuotaRedisOfItsOwn:
    @pytest.fixture
    def own_redis(self, tmp_path: Path) -> Iterator[Store]:
        (tmp_path / "own").mkdir()
        with running_redis(tmp_path / "own", durable=False) as server:
            yield server

    @pytest.fixture
    def settings(self, settings: dict[str, Any], own_redis: Store) -> dict[str, Any]:
        return settings | {"quota_redis_url": own_redis.url, "health_timeout": 0.3}

    async def test_stalled_quota_redis_degrades(
        self, http: httpx.AsyncClient, own_redis: Store
    ) -> None:
        own_redis.send(signal.SIGSTOP)
        try:
            status, body = await health(http)
        finally:
            own_redis.send(signal.SIGCONT)
        assert (status, body["status"]) == (200, "degraded")
        assert body["components"]["quota"]["status"] == "unhealthy"


async def test_health_is_repeated_for_a_moment() -> None:
    asked = 0
    now = 0.0

    async def check() -> None:
        nonlocal asked
        asked += 1

    checks = HealthChecks(
        reachable=check,
        inference=check,
        others={},
        timeout=1,
        lifetime=0.5,
        clock=lambda: now,
    )
    await checks.check()
    await checks.check()
    assert asked == 2  # whether it is reachable, and whether it works
    now = 0.5
    await checks.check()
    assert asked == 4
