"""Windows of single tenants over a real Redis: as durable as those of all tenants together."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from drift.domain import ModelVersion, Population
from drift.history_store import HistoryStore
from drift.state_transaction import STATE_KEY, StateTransaction
from servicekit.event_stream import Event
from weir.events.v1 import events_pb2 as pb

REVIEWS = ModelVersion("reviews", "1")
NORTH, SOUTH = Population(REVIEWS, "north"), Population(REVIEWS, "south")
PREDICTIONS = "weir:predictions:0"
INCIDENTS = "weir:incidents"
WriteReference = Callable[..., Path]


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


def mixed(world: Any, rows: int, *tenants: str, **shifts: Any) -> list[pb.PredictionRecorded]:
    """As many rows of each tenant, by turns; `shifts` are by tenant."""
    return [
        event
        for _ in range(rows)
        for tenant in tenants or ("north", "south")
        for event in world.events(1, tenant=tenant, **shifts.get(tenant, {}))
    ]


def told(changes: Sequence[pb.DriftIncidentChanged]) -> list[tuple[str, str, int]]:
    """Of the group that the tests shift: whose incident, and what happened."""
    return [(each.tenant, each.signal, each.change) for each in changes if each.signal == "text"]


async def keys_of(redis: Redis, tenant: str) -> list[str]:
    """Fields of the state, and keys, that are this tenant's own."""
    names: list[Any] = await redis.hkeys(STATE_KEY)
    names += await redis.keys("weir:drift:windows:*")
    return sorted(name.decode() for name in names if name.endswith(f"/{tenant}".encode()))


async def test_shift_of_one_tenant_opens_an_incident_of_that_tenant_and_none_of_another(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*mixed(world, 150))
    await service.publish(*mixed(world, 250, north={"extra_tokens": 10}))
    await service.consume()
    opened = told(await service.incidents())
    assert ("north", "text", pb.DRIFT_INCIDENT_CHANGE_OPENED) in opened
    assert "south" not in {tenant for tenant, _, _ in opened}
    kept = await HistoryStore(service.redis).summaries(SOUTH)
    assert [(each.rows, each.judged) for each in kept] == [(100, True)] * 3
    assert not any("input_tokens" in each.drifted for each in kept)


async def test_end_of_the_shift_closes_the_incident(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*mixed(world, 300, north={"extra_tokens": 10}))
    await service.publish(*mixed(world, 400))
    await service.consume()
    of_north = [each for each in told(await service.incidents()) if each[0] == "north"]
    changes = [change for _, _, change in of_north]
    assert changes[0] == pb.DRIFT_INCIDENT_CHANGE_OPENED
    assert changes[-1] == pb.DRIFT_INCIDENT_CHANGE_CLOSED


async def test_single_tenant_costs_no_window_more(service: Any, world: Any) -> None:
    await service.publish(*world.events(250, tenant="only"))
    await service.consume()
    assert (await service.store.load(REVIEWS)).tenants.watched == ()
    assert await keys_of(service.redis, "only") == []


async def test_predictions_of_a_tenant_below_the_busiest_count_in_the_common_window_alone(
    service: Any, world: Any
) -> None:
    await service.publish(*mixed(world, 99), *world.events(2, tenant="tiny"))
    await service.publish(*mixed(world, 49), *world.events(2, tenant="tiny"))
    await service.consume()
    state = await service.store.load(REVIEWS)
    assert state.tenants.watched == ("north", "south")
    assert await keys_of(service.redis, "tiny") == []
    assert state.closed.rows == 100


async def test_killed_in_the_middle_it_comes_to_the_same_windows_and_incidents(
    service: Any, world: Any, write_reference: WriteReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference()
    await service.publish(*mixed(world, 400, north={"extra_tokens": 10}))

    async def outcome() -> Any:
        history = HistoryStore(service.redis)
        kept = [
            [(each.window_id, each.rows, "input_tokens" in each.drifted) for each in summaries]
            for summaries in [await history.summaries(of) for of in (NORTH, SOUTH)]
        ]
        return kept, sorted(told(await service.incidents()))

    await service.consume()
    whole = await outcome()
    await service.redis.delete(
        STATE_KEY, INCIDENTS, *await service.redis.keys("weir:drift:windows:*")
    )
    await service.redis.xgroup_setid(PREDICTIONS, "drift", "0")
    store = StateTransaction.store

    async def die_after(self: StateTransaction, *arguments: Any) -> None:
        await store(self, *arguments)
        raise Killed

    async def die_before(*_: Any) -> None:
        raise Killed

    for moment in (die_before, die_after, die_before, die_after):
        replica = service.again()
        consumer = replica.consumer(PREDICTIONS, batch_size=170)
        with monkeypatch.context() as patch:
            patch.setattr(StateTransaction, "store", moment)
            with suppress(Killed):
                await consumer.consume_once(replica.take_predictions)
    await service.again().consume()
    assert await outcome() == whole
    assert len(whole[0][0]) == 3
    assert ("north", "text", pb.DRIFT_INCIDENT_CHANGE_OPENED) in whole[1]


async def test_another_replica_goes_on_with_the_windows(service: Any, world: Any) -> None:
    await service.publish(*mixed(world, 80))
    await service.consume()
    await service.publish(*mixed(world, 15))
    await service.again().consume()
    state = await service.store.load_tenant(NORTH)
    assert state.open.rows == 80 + 15 - 50


async def test_flood_of_made_up_tenants_neither_grows_the_state_nor_pushes_the_busy_out(
    service: Any, world: Any
) -> None:
    await service.publish(*mixed(world, 80))
    await service.consume()
    before = len(await service.redis.hkeys(STATE_KEY))
    for start in range(0, 10_000, 1000):
        flood = [
            event
            for number in range(start, start + 1000)
            for event in world.events(1, tenant=f"made-up {number}")
        ]
        await service.publish(*flood, *mixed(world, 50))
        await service.consume()
    assert (await service.store.load(REVIEWS)).tenants.watched == ("north", "south")
    # Both have closed windows now.
    assert len(await service.redis.hkeys(STATE_KEY)) == before + 2
    assert len(await service.redis.keys("weir:drift:windows:*")) == 3


async def test_tenant_that_is_displaced_leaves_nothing_and_its_incident_is_closed(
    redis: Redis, service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*mixed(world, 350, north={"extra_tokens": 10}))
    await service.consume()
    assert await keys_of(redis, "north") != []
    one = type(service)(redis, service.repository, tenants=1)
    await one.publish(*mixed(world, 400, "south", "east"))
    await one.consume()
    assert await keys_of(redis, "north") == []
    changes = [change for of, _, change in told(await service.incidents()) if of == "north"]
    assert changes[-1] == pb.DRIFT_INCIDENT_CHANGE_CLOSED


async def test_version_that_is_forgotten_takes_its_tenants_along(service: Any, world: Any) -> None:
    await service.publish(*mixed(world, 250))
    await service.consume()
    assert await keys_of(service.redis, "north") != []
    for number in range(2, 13):
        await service.publish(*world.events(1, ModelVersion("reviews", str(number))))
        await service.consume()
    assert await keys_of(service.redis, "north") == await keys_of(service.redis, "south") == []


async def test_state_of_an_earlier_release_is_read_without_loss(service: Any, world: Any) -> None:
    await service.publish(*world.events(40))
    await service.consume()
    assert await service.redis.hdel(STATE_KEY, "tenants:reviews/1") == 1
    await service.again().publish(*mixed(world, 60))
    await service.consume()
    state = await service.store.load(REVIEWS)
    assert (state.closed.rows, state.open.rows) == (100, 60)
    assert state.tenants.watched == ("north", "south")


async def test_feedback_counts_in_the_window_of_its_tenant(service: Any, world: Any) -> None:
    await service.publish(*mixed(world, 60))
    await service.consume()
    fields = {"model": "reviews", "model_version": "1", "predicted_label": "a", "confidence": 0.9}
    feedback = [
        pb.FeedbackRecorded(tenant=tenant, correct_label="b", **fields)
        for tenant in ("north", "north", "tiny")
    ]
    await service.publisher.publish("weir:feedback", feedback)
    await service.consume()
    assert (await service.store.load(REVIEWS)).feedback.labelled == 3
    assert (await service.store.load_tenant(NORTH)).feedback.labelled == 2
    assert (await service.store.load_tenant(SOUTH)).feedback.labelled == 0


async def test_events_that_come_again_count_once(service: Any, world: Any) -> None:
    await service.publish(*mixed(world, 80))
    seen: list[Event] = []

    async def keep(events: Sequence[Event]) -> None:
        seen.extend(events)
        await service.take_predictions(events)

    await service.predictions.consume_once(keep)
    await service.take_predictions(seen)
    assert (await service.store.load_tenant(NORTH)).open.rows == 30
