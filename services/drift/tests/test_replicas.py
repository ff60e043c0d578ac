"""Several replicas share the streams, and Redis may go away: nothing is lost or counted twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drift.domain import ModelVersion, StateUnavailable
from drift.monitor import EarlierEntriesHeld
from drift.state_transaction import StateConflict, StateTransaction
from servicekit.event_stream import Event
from servicekit.redis_client import open_redis
from testkit.stores import running_redis

REVIEWS = ModelVersion("reviews", "1")
PREDICTIONS = "weir:predictions:0"


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


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
