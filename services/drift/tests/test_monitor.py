"""Batches over a real Redis: each event counts once, whatever breaks."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

from drift.domain import ModelVersion
from drift.state_transaction import STATE_KEY, StateTransaction
from servicekit.event_stream import Event

REVIEWS = ModelVersion("reviews", "1")
NEXT = ModelVersion("reviews", "2")
PREDICTIONS = "weir:predictions:0"
GROUP = "drift"


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


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


async def test_prediction_that_its_publisher_appended_twice_counts_once(
    service: Any, world: Any
) -> None:
    events = world.events(20)
    await service.publish(*events)
    await service.consume()
    await service.publish(*events[5:], *world.events(3))
    await service.again().consume()
    assert await service.rows() == 23
