"""A window that is full closes: it is kept, measured, and told once under one id."""

from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
import structlog

from drift.domain import ModelVersion, Population, StateUnavailable
from drift.measurement import measurement_id
from drift.state_transaction import STATE_KEY, StateTransaction
from servicekit.event_stream import Event
from servicekit.identifiers import time_of

REVIEWS = ModelVersion("reviews", "1")
NEXT = ModelVersion("reviews", "2")
PREDICTIONS = "weir:predictions:0"
GROUP = "drift"
WriteReference = Callable[..., Path]


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


async def test_full_window_closes_and_is_kept(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(250))
    await service.consume()
    state = await service.store.load(REVIEWS)
    assert state.closed.rows == 100
    assert state.open.rows == 50
    first, second = await service.measurements()
    assert (first.model, first.model_version, first.rows) == ("reviews", "1", 100)
    assert second.window_start.ToDatetime() > first.window_end.ToDatetime()
    assert state.closed.last_predicted_at == second.window_end.ToDatetime(UTC)
    assert {(metric.signal, metric.statistic) for metric in first.metrics} >= {
        ("input_tokens", "ks_distance"),
        ("input_tokens", "mean_difference"),
        ("confidence", "ks_distance"),
        ("confidence", "mean_difference"),
        ("unknown_token_rate", "ratio_difference"),
        ("label", "total_variation"),
        ("script", "total_variation"),
        ("mixed_script_rate", "ratio_difference"),
        ("confidence", "drift"),
        ("confidence", "effect"),
        ("confidence", "p_value"),
        ("confidence", "minimum_detectable_effect"),
    }
    drifted = [metric.value for metric in first.metrics if metric.statistic == "drift"]
    assert not any(drifted)


async def test_window_that_closes_with_the_last_event_leaves_none_open(
    service: Any, world: Any
) -> None:
    await service.publish(*world.events(60))
    await service.consume()
    await service.publish(*world.events(40))
    await service.consume()
    state = await service.store.load(REVIEWS)
    assert state.open is None
    assert state.closed.rows == 100


async def test_measurement_is_told_once_though_a_crash_came_before_the_store(
    service: Any,
    world: Any,
    write_reference: WriteReference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_reference()
    await service.publish(*world.events(150))

    async def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StateTransaction, "store", die)
        with pytest.raises(Killed):
            await service.predictions.consume_once(service.take_predictions)
    await service.again().consume()
    (measured,) = await service.measurements()
    assert measured.rows == 100


async def test_measurement_id_does_not_depend_on_the_batches(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(150))
    await service.consume()
    await service.redis.delete(STATE_KEY)
    await service.redis.xgroup_setid(PREDICTIONS, GROUP, "0")
    small = service.consumer(PREDICTIONS, batch_size=7)
    while await small.consume_once(service.take_predictions):
        pass
    before, after = await service.measurements()
    assert before.measurement_id == after.measurement_id


async def test_measurement_id_is_a_uuid7_of_the_last_predictions_time(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(100))
    await service.consume()
    (measured,) = await service.measurements()
    identifier = UUID(measured.measurement_id)
    assert identifier.variant == RFC_4122
    assert time_of(identifier) == measured.window_end.ToDatetime(UTC)


def test_measurement_ids_differ_by_version_and_by_window(world: Any) -> None:
    at = world.prediction().predicted_at
    identifiers = {
        measurement_id(of, at, entry)
        for of in (Population(REVIEWS), Population(NEXT), Population(REVIEWS, "busy"))
        for entry in ("1-0", "1-1")
    }
    assert len(identifiers) == 6


async def test_redis_that_is_full_holds_the_batch_back(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(150))
    seen: list[Event] = []

    async def note(events: Sequence[Event]) -> None:
        seen.extend(events)
        raise Killed

    with pytest.raises(Killed):
        await service.predictions.consume_once(note)
    await service.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StateUnavailable):
            await service.take_predictions(seen)
    finally:
        await service.redis.config_set("maxmemory", 0)
    assert (await service.rows(), await service.measurements()) == (0, [])
    await service.again().consume()
    assert len(await service.measurements()) == 1


@pytest.mark.parametrize("reference", ["missing", "broken"])
async def test_windows_accumulate_without_a_usable_reference(
    service: Any, world: Any, write_reference: WriteReference, reference: str
) -> None:
    if reference == "broken":
        write_reference(rows=50).write_text("{")
    await service.publish(*world.events(130))
    with structlog.testing.capture_logs() as logs:
        await service.consume()
    assert await service.rows() == 30
    assert await service.measurements() == []
    (told,) = [log for log in logs if log["event"] == "window_not_measured"]
    assert (
        told["reason"] == {"missing": "REFERENCE_MISSING", "broken": "REFERENCE_INVALID"}[reference]
    )
