"""Batches over a real Redis: each event counts once, whatever breaks."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
import structlog
from redis.asyncio import Redis

from drift.domain import ModelVersion, StateUnavailable
from drift.measurement import measurement_id
from drift.monitor import EarlierEntriesHeld
from drift.signals import ACCURACY
from drift.state_store import STATE_KEY, StateConflict, StateTransaction
from servicekit.event_stream import Event, EventStreamUnavailable
from servicekit.identifiers import time_of
from servicekit.redis_client import open_redis
from testkit.stores import running_redis
from weir.events.v1 import events_pb2

REVIEWS = ModelVersion("reviews", "1")
NEXT = ModelVersion("reviews", "2")
PREDICTIONS = "weir:predictions:0"
FEEDBACK = "weir:feedback"
GROUP = "drift"
WriteReference = Callable[..., Path]


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


def feedback(correct: str, about: ModelVersion = REVIEWS) -> events_pb2.FeedbackRecorded:
    return events_pb2.FeedbackRecorded(
        model=about.model,
        model_version=about.version,
        predicted_label="positive",
        correct_label=correct,
    )


async def pending(redis: Redis) -> int:
    answer: Any = await redis.xpending(PREDICTIONS, GROUP)
    return int(answer["pending"])


async def test_predictions_fill_the_window_of_their_version(service: Any, world: Any) -> None:
    await service.publish(*world.events(30), *world.events(20, NEXT))
    await service.consume()
    assert (await service.rows(REVIEWS), await service.rows(NEXT)) == (30, 20)


async def test_window_goes_on_after_a_restart(service: Any, world: Any) -> None:
    await service.publish(*world.events(30))
    await service.consume()
    await service.publish(*world.events(12))
    await service.again().consume()
    assert await service.rows() == 42


async def test_batch_that_was_stored_but_not_acknowledged_is_not_counted_twice(
    service: Any, world: Any
) -> None:
    await service.publish(*world.events(30))

    async def die_after_storing(events: Sequence[Event]) -> None:
        await service.take_predictions(events)
        raise Killed

    with pytest.raises(Killed):
        await service.predictions.consume_once(die_after_storing)
    assert await pending(service.redis) == 30
    await service.publish(*world.events(5))
    await service.again().consume()
    assert await service.rows() == 35
    assert await pending(service.redis) == 0


async def test_batch_is_acknowledged_only_after_it_was_stored(
    service: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.publish(*world.events(30))

    async def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StateTransaction, "store", die)
        with pytest.raises(Killed):
            await service.predictions.consume_once(service.take_predictions)
    assert await pending(service.redis) == 30
    assert await service.rows() == 0
    await service.again().consume()
    assert await service.rows() == 30


async def test_batch_that_comes_partly_again_counts_its_new_part(service: Any, world: Any) -> None:
    await service.publish(*world.events(10))
    seen: list[Event] = []

    async def note(events: Sequence[Event]) -> None:
        seen.extend(events)
        raise Killed

    with pytest.raises(Killed):
        await service.predictions.consume_once(note)
    await service.take_predictions(seen[:4])
    await service.take_predictions(seen)
    await service.take_predictions(seen)
    assert await service.rows() == 10


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


async def test_measurement_survives_a_crash_before_the_store_under_the_same_id(
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
    before, after = await service.measurements()
    assert before.measurement_id == after.measurement_id
    assert (before.window_start, before.rows) == (after.window_start, after.rows)


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
        measurement_id(about, at, entry) for about in (REVIEWS, NEXT) for entry in ("1-0", "1-1")
    }
    assert len(identifiers) == 4


async def test_measurement_that_is_not_taken_holds_the_batch_back(
    service: Any,
    world: Any,
    write_reference: WriteReference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_reference()
    await service.publish(*world.events(150))

    async def refuse(*_: object) -> None:
        raise EventStreamUnavailable("Full.")

    with monkeypatch.context() as patch:
        patch.setattr(service.publisher, "publish", refuse)
        with pytest.raises(EventStreamUnavailable):
            await service.predictions.consume_once(service.take_predictions)
    assert await service.rows() == 0
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


async def test_nonsense_is_skipped_and_told_once_a_batch(service: Any, world: Any) -> None:
    events = world.events(6)
    events[1].confidence = float("nan")
    events[2].confidence = 2.0
    events[3].input.special_tokens = events[3].input.tokens + 1
    await service.publish(*events)
    await service.redis.xadd(
        PREDICTIONS, {"data": b"\xff", "type": "weir.events.v1.PredictionRecorded"}
    )
    await service.redis.xadd(PREDICTIONS, {"other": "fields"})
    with structlog.testing.capture_logs() as logs:
        await service.consume()
    assert await service.rows() == 3
    (told,) = logs
    assert told["reasons"] == {"confidence": 2, "tokens": 1, "undecodable": 1, "type": 1}
    assert await pending(service.redis) == 0


async def test_batch_of_nothing_but_nonsense_does_not_block_the_stream(
    service: Any, world: Any
) -> None:
    await service.redis.xadd(PREDICTIONS, {"other": "fields"})
    await service.consume()
    await service.publish(*world.events(1))
    await service.consume()
    assert await service.rows() == 1


async def test_feedback_is_counted_once_by_version(service: Any) -> None:
    await service.publisher.publish(
        FEEDBACK,
        [
            feedback("positive"),
            feedback("negative"),
            feedback("positive"),
            feedback("positive", NEXT),
            events_pb2.FeedbackRecorded(model="reviews", model_version="1", score=1.0),
        ],
    )

    async def die_after_storing(events: Sequence[Event]) -> None:
        await service.take_feedback(events)
        raise Killed

    with pytest.raises(Killed):
        await service.feedback.consume_once(die_after_storing)
    await service.again().consume()
    count = (await service.store.load(REVIEWS)).feedback
    assert (count.labelled, count.agreed) == (3, 2)
    assert (await service.store.load(NEXT)).feedback.labelled == 1


async def test_feedback_leaves_the_window_alone(service: Any, world: Any) -> None:
    await service.publish(*world.events(8))
    await service.consume()
    await service.publisher.publish(FEEDBACK, [feedback("positive")])
    await service.consume()
    assert await service.rows() == 8
    await service.publish(*world.events(2))
    await service.consume()
    assert (await service.store.load(REVIEWS)).feedback.labelled == 1


async def test_versions_beyond_the_limit_are_forgotten_oldest_first(
    service: Any, world: Any
) -> None:
    for number in range(13):
        await service.publish(*world.events(2, ModelVersion("reviews", str(number))))
        await service.consume()
    kept = {version.version for version in await service.store.versions()}
    assert kept == {str(number) for number in range(3, 13)}
    assert await service.rows(ModelVersion("reviews", "2")) == 0
    fields = await service.redis.hkeys(STATE_KEY)
    assert not [field for field in fields if field.endswith(b"reviews/2")]


async def test_unreadable_state_costs_its_window_and_nothing_else(service: Any, world: Any) -> None:
    await service.publish(*world.events(5), *world.events(5, NEXT))
    await service.consume()
    await service.redis.hset(STATE_KEY, "open:reviews/1", json.dumps({"format": 99}))
    await service.publish(*world.events(3), *world.events(3, NEXT))
    with structlog.testing.capture_logs() as logs:
        await service.consume()
    assert "state_unreadable" in {log["event"] for log in logs}
    assert (await service.rows(REVIEWS), await service.rows(NEXT)) == (3, 8)


async def test_two_replicas_count_each_prediction_once(service: Any, world: Any) -> None:
    first, second = service, service.again()
    mine, theirs = first.consumer(PREDICTIONS, 20), second.consumer(PREDICTIONS, 20)
    # It is past its look at what was left behind, so the next it gets are new entries.
    await theirs.consume_once(second.take_predictions)
    await service.publish(*world.events(60))
    held: list[Event] = []

    async def stall(events: Sequence[Event]) -> None:
        held.extend(events)
        raise Killed

    with pytest.raises(Killed):
        await mine.consume_once(stall)
    with pytest.raises(EarlierEntriesHeld):
        await theirs.consume_once(second.take_predictions)
    await first.take_predictions(held)
    await second.consume()
    await first.take_predictions(held)
    assert await service.rows() == 60


async def test_replica_that_stored_first_wins(
    service: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.publish(*world.events(40))
    other = service.again()
    load = StateTransaction.load

    async def meanwhile(self: StateTransaction, version: ModelVersion) -> Any:
        state = await load(self, version)
        monkeypatch.setattr(StateTransaction, "load", load)
        await other.consume()
        return state

    monkeypatch.setattr(StateTransaction, "load", meanwhile)
    with pytest.raises(StateConflict):
        await service.predictions.consume_once(service.take_predictions)
    await service.consume()
    assert await service.rows() == 40


async def test_redis_that_is_away_is_told_as_such_and_loses_nothing(
    tmp_path: Path, world: Any, service: Any
) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=1.0)
        local = type(service)(redis, service.repository)
        await local.publish(*world.events(20))
        await local.consume()
        server.kill()
        with pytest.raises(StateUnavailable):
            await local.store.load(REVIEWS)
        with pytest.raises(StateUnavailable):
            await local.take_predictions([Event("9-0", "", b"", "")])
        server.start_ready()
        await local.publish(*world.events(5))
        await local.consume()
        assert await local.rows() == 25
        await redis.aclose()


async def test_prediction_that_its_publisher_appended_twice_counts_once(
    service: Any, world: Any
) -> None:
    events = world.events(20)
    await service.publish(*events)
    await service.consume()
    await service.publish(*events[5:], *world.events(3))
    await service.again().consume()
    assert await service.rows() == 23


async def test_feedback_is_in_the_open_window_whatever_it_is_about(
    service: Any, world: Any
) -> None:
    await service.publish(*world.events(2))
    given = [
        events_pb2.FeedbackRecorded(
            model="reviews",
            model_version="1",
            correct_label="positive",
            predicted_label=label,
            confidence=0.75,
        )
        for label in ("positive", "positive", "negative")
    ]
    await service.publisher.publish(FEEDBACK, given)
    await service.consume()
    state = await service.store.load(REVIEWS)
    assert state.open.rows == 2
    accuracy = state.open.observed.ratio(ACCURACY)
    assert (accuracy.numerator, accuracy.denominator) == (2, 3)
