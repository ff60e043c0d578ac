"""The events Redis runs out of memory: refusals say so, and the platform heals by itself."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.inside import events_redis, query
from testkit.platform import Platform, running_platform, wait_until

HEALED_WITHIN = 60.0
MEGABYTE = 1024 * 1024


def limit_memory(platform: Platform, limit: Callable[[int], int]) -> None:
    """Limits the events Redis's memory, by what it uses now; 0 is no limit."""
    with events_redis(platform.endpoints) as redis:
        redis.config_set("maxmemory", limit(int(redis.info("memory")["used_memory"])))


def below_use(used: int) -> int:
    return used - MEGABYTE // 4


def none(_used: int) -> int:
    return 0


def almost_full(used: int) -> int:
    """A megabyte of predictions reaches the reserve of a tenth; without them an eighth is free,
    which is room again."""
    return int((used - MEGABYTE) / 0.8)


def predict(api: httpx.Client, texts: int = 1) -> httpx.Response:
    return api.post("/predict/batch", json={"texts": ["All but full."] * texts})


def ids_of(answer: httpx.Response) -> list[str]:
    return [prediction["prediction_id"] for prediction in answer.json()["predictions"]]


def logged(platform: Platform, ids: set[str]) -> bool:
    return ids <= {
        row[0] for row in query(platform.endpoints, "SELECT id::text FROM prediction_logs")
    }


def components(platform: Platform) -> dict[str, Any]:
    answer = httpx.get(f"{platform.endpoints.http}/health").json()
    return {name: component["status"] for name, component in answer["components"].items()}


@pytest.mark.timeout(240)
def test_backlog_that_fills_redis_blocks_predictions_until_the_log_has_caught_up(
    platform: Platform, api: httpx.Client
) -> None:
    acknowledged = set(ids_of(predict(api)))
    platform.process("postgres").stop()
    with events_redis(platform.endpoints) as redis:
        redis.set("others", b"x" * 14 * MEGABYTE)
    limit_memory(platform, almost_full)
    give_up = time.monotonic() + 60
    while (answer := predict(api, 256)).status_code == 200:
        acknowledged |= set(ids_of(answer))
        assert time.monotonic() < give_up, "Redis never filled"

    assert answer.status_code == 503
    assert answer.json()["code"] == "EVENT_STREAM_FULL"
    assert int(answer.headers["retry-after"]) >= 1
    with events_redis(platform.endpoints) as redis:
        redis.set("more", b"x" * (MEGABYTE // 2))  # well into the reserve
    platform.wait_until_health("unhealthy")
    wait_until(lambda: components(platform)["events"] == "unhealthy", "the cause in health")
    found = components(platform)
    assert (found["inference"], found["drift"]) == ("unhealthy", "healthy")

    with events_redis(platform.endpoints) as redis:
        redis.delete("more")
    platform.start("postgres")
    wait_until(lambda: predict(api).status_code == 200, "predictions again", HEALED_WITHIN)
    platform.wait_until_health("healthy")
    wait_until(lambda: logged(platform, acknowledged), "all rows", HEALED_WITHIN)
    with events_redis(platform.endpoints) as redis:
        redis.delete("others")
    limit_memory(platform, none)


@pytest.mark.timeout(120)
def test_limit_below_what_is_used_blocks_until_it_is_lifted(
    platform: Platform, api: httpx.Client
) -> None:
    before = set(ids_of(predict(api)))
    limit_memory(platform, below_use)
    wait_until(lambda: predict(api).status_code == 503, "a refusal")
    assert predict(api).json()["code"] == "EVENT_STREAM_FULL"
    platform.wait_until_health("unhealthy")
    # A log that starts meanwhile must not need memory to find its place.
    platform.process("prediction_log").kill()
    platform.start("prediction_log")
    wait_until(lambda: logged(platform, before), "rows", HEALED_WITHIN)

    limit_memory(platform, none)
    wait_until(lambda: predict(api).status_code == 200, "predictions again", HEALED_WITHIN)
    platform.wait_until_health("healthy")


@pytest.mark.timeout(120)
def test_served_unlogged_where_that_is_the_policy(tmp_path: Path, models: Path) -> None:
    settings = {"WEIR_WHEN_UNLOGGED": "serve_unlogged", "WEIR_METRICS_ADDRESS": "127.0.0.1:0"}
    with (
        running_platform(tmp_path / "home", models, settings) as platform,
        platform.client() as api,
    ):
        assert "unlogged" not in predict(api).json()["predictions"][0]
        limit_memory(platform, below_use)
        wait_until(
            lambda: predict(api).json()["predictions"][0].get("unlogged") is True,
            "an answer that says it is not on record",
        )
        assert predict(api).status_code == 200
        limit_memory(platform, none)
        wait_until(
            lambda: "unlogged" not in predict(api).json()["predictions"][0], "a recorded answer"
        )
        platform.wait_until_health("healthy")
