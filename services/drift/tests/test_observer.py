"""Gauges follow the stored state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_asyncio
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from drift.domain import ModelVersion
from drift.observer import Observer
from drift.state_store import StateStore
from drift.state_transaction import STATE_KEY
from drift.version_state import WindowSize
from servicekit.redis_client import open_redis

REVIEWS = {"model": "reviews", "model_version": "1"}
PREDICTIONS = "weir:predictions:0"
WriteReference = Callable[..., Path]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def clock(redis: Redis) -> Clock:
    clock = Clock()
    seconds, _ = await redis.time()
    clock.now = float(seconds)
    return clock


def observer_of(store: StateStore, service: Any, clock: Clock) -> Observer:
    return Observer(
        store,
        service.references,
        streams=[PREDICTIONS],
        minimum_rows=30,
        window_size=WindowSize(100),
        clock=clock,
    )


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_rows_and_differences_are_shown(
    service: Any, world: Any, clock: Clock, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(60))
    await service.consume()
    await observer_of(service.store, service, clock).observe()
    assert value("weir_drift_window_rows", **REVIEWS) == 60
    assert value("weir_drift_reference_usable", **REVIEWS) == 1
    ks = value("weir_drift_difference", **REVIEWS, signal="input_tokens", statistic="ks_distance")
    assert ks is not None
    assert 0 < ks < 0.4


async def test_version_without_reference_shows_rows_alone(
    service: Any, world: Any, clock: Clock
) -> None:
    other = ModelVersion("unreferenced", "1")
    await service.publish(*world.events(60, other))
    await service.consume()
    await observer_of(service.store, service, clock).observe()
    labels = {"model": "unreferenced", "model_version": "1"}
    assert value("weir_drift_window_rows", **labels) == 60
    assert value("weir_drift_reference_usable", **labels) == 0


async def test_forgotten_version_leaves_the_metrics(service: Any, world: Any, clock: Clock) -> None:
    await service.publish(*world.events(5))
    await service.consume()
    observer = observer_of(service.store, service, clock)
    await observer.observe()
    await service.redis.delete(STATE_KEY)
    await observer.observe()
    assert value("weir_drift_window_rows", **REVIEWS) is None


async def test_lag_is_the_age_of_the_oldest_unapplied_event(
    service: Any, world: Any, clock: Clock
) -> None:
    observer = observer_of(service.store, service, clock)
    await service.publish(*world.events(5))
    await service.consume()
    await observer.observe()
    assert value("weir_drift_lag_seconds", stream=PREDICTIONS) == 0
    await service.publish(*world.events(5))
    clock.now += 120
    await observer.observe()
    lag = value("weir_drift_lag_seconds", stream=PREDICTIONS)
    assert lag is not None
    assert 100 < lag <= 121


async def test_gauges_wait_while_redis_is_away(service: Any, clock: Clock, tmp_path: Path) -> None:
    away = open_redis(f"unix://{tmp_path}/absent.sock", timeout=0.2)
    await observer_of(StateStore(away), service, clock).observe()
    await away.aclose()
