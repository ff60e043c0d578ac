"""What may go wrong with what comes: a clear state, no exception, and no false alarm."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from redis.asyncio import Redis

from drift.columns import prediction_columns
from drift.decision import Decider
from drift.domain import ModelVersion, PredictionFacts
from drift.signals import SignalReference, SignalWindow
from drift.verdict import State

REVIEWS = ModelVersion("reviews", "1")
WriteReference = Callable[..., Path]


def rows_of(predictions: Sequence[PredictionFacts]) -> SignalWindow:
    window = SignalWindow()
    window.update(len(predictions), prediction_columns(predictions))
    return window


def table(world: Any, random: np.random.Generator, rows: int, bad: float = 0.0) -> list[Any]:
    """Rows of two features, of which one is constant; `bad` of the other are no numbers."""
    return [
        replace(
            world.prediction(),
            features={
                "age": float(random.choice([math.nan, math.inf, -math.inf]))
                if random.random() < bad
                else float(random.normal(40, 10)),
                "country": 7.0,
            },
        )
        for _ in range(rows)
    ]


def test_features_that_are_no_numbers_are_missing_ones_and_no_other_values(world: Any) -> None:
    random = np.random.default_rng(3)
    reference = SignalReference(REVIEWS, "made up", rows_of(table(world, random, 2000)))
    window = rows_of(table(world, random, 500, bad=0.2))
    verdicts = {v.signal.name: v for v in Decider(reference).decide(REVIEWS, window)}
    assert verdicts["missing:age"].state is State.DRIFT
    assert verdicts["feature:age"].state is State.NO_DRIFT
    nothing = rows_of(table(world, random, 500, bad=1.1))
    verdicts = {v.signal.name: v for v in Decider(reference).decide(REVIEWS, nothing)}
    assert verdicts["feature:age"].state is State.NOT_ENOUGH_DATA


def test_constant_feature_is_constant_and_one_that_leaves_its_value_drifts(world: Any) -> None:
    random = np.random.default_rng(4)
    reference = SignalReference(REVIEWS, "made up", rows_of(table(world, random, 2000)))
    same = rows_of(table(world, random, 300))
    moved = [
        replace(row, features={**row.features, "country": 8.0}) for row in table(world, random, 300)
    ]
    decider = Decider(reference)
    assert {v.signal.name: v.state for v in decider.decide(REVIEWS, same)}[
        "feature:country"
    ] is State.CONSTANT
    assert {v.signal.name: v.state for v in decider.decide(REVIEWS, rows_of(moved))}[
        "feature:country"
    ] is State.DRIFT


async def test_reference_of_another_version_is_told_and_opens_nothing(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference(model_version="2")
    await service.publish(*world.events(300, extra_tokens=10))
    with structlog.testing.capture_logs() as logs:
        await service.consume()
    assert {log["reason"] for log in logs if log["event"] == "window_not_measured"} == {
        "REFERENCE_INVALID"
    }
    assert (await service.measurements(), await service.incidents()) == ([], [])


@pytest.mark.parametrize("step", [timedelta(days=-400), timedelta(hours=-1), timedelta(days=400)])
async def test_clock_that_steps_neither_breaks_windows_nor_alarms(
    service: Any, world: Any, write_reference: WriteReference, step: timedelta
) -> None:
    write_reference()
    events = world.events(500)
    for event in events[150:]:
        at = event.predicted_at.ToDatetime() + step
        event.predicted_at.FromDatetime(at)
    await service.publish(*events)
    await service.consume()
    measured = await service.measurements()
    assert [each.rows for each in measured] == [100] * 5
    assert all(each.window_start.seconds <= each.window_end.seconds for each in measured)
    assert await service.incidents() == []


async def test_windows_of_one_row_have_not_enough_data(
    redis: Redis, repository: Path, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    small = type(service)(redis, repository, window_rows=1)
    await small.publish(*world.events(5, extra_tokens=50))
    await small.consume()
    measured = await small.measurements()
    assert [each.rows for each in measured] == [1] * 5
    assert not any(metric.statistic == "drift" for each in measured for metric in each.metrics)
    assert await small.incidents() == []


async def test_empty_window_has_not_enough_data(
    service: Any, write_reference: WriteReference
) -> None:
    write_reference()
    decider = Decider(await service.references.find(REVIEWS))
    states = {verdict.state for verdict in decider.decide(REVIEWS, SignalWindow())}
    assert states == {State.NOT_ENOUGH_DATA}
