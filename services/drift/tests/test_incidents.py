"""Incidents of real windows over a real Redis: opened once, told once, whatever breaks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drift.domain import ModelVersion, Population
from drift.state_transaction import StateTransaction
from weir.events.v1 import events_pb2 as pb

REVIEWS = ModelVersion("reviews", "1")
WriteReference = Callable[..., Path]


class Killed(BaseException):
    """Ends a batch as kill -9 would: nothing after it runs."""


def of_group(changes: list[pb.DriftIncidentChanged], group: str) -> list[pb.DriftIncidentChanged]:
    return [change for change in changes if change.signal == group]


async def test_shift_that_lasts_opens_one_incident_and_its_end_closes_it(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(200))
    await service.publish(*world.events(2000, extra_tokens=10))
    await service.consume()
    (opened,) = of_group(await service.incidents(), "text")
    assert opened.change == pb.DRIFT_INCIDENT_CHANGE_OPENED
    assert opened.state == pb.DRIFT_INCIDENT_STATE_OPEN
    assert (opened.model, opened.model_version, opened.revision) == ("reviews", "1", 1)
    assert opened.details["signal"] == "input_tokens"
    assert opened.details["direction"] == "up"
    (signal,) = opened.details["signals"]
    assert signal["effect"]["lower"] < signal["effect"]["value"] < signal["effect"]["upper"]
    assert len(opened.details["reasons"]) > 0
    book = (await service.store.incidents([Population(REVIEWS)]))[Population(REVIEWS)]
    (incident,) = book.opened("text")
    assert incident.windows == 20

    await service.publish(*world.events(300))
    await service.consume()
    opened, closed = of_group(await service.incidents(), "text")
    assert closed.incident_id == opened.incident_id
    assert closed.revision == 2
    assert closed.state == pb.DRIFT_INCIDENT_STATE_CLOSED
    assert closed.HasField("closed_at")


async def test_no_drift_opens_nothing(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(2000))
    await service.consume()
    assert await service.incidents() == []


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_crash_around_the_store_neither_loses_nor_doubles_a_change(
    service: Any,
    world: Any,
    write_reference: WriteReference,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    write_reference()
    await service.publish(*world.events(500, extra_tokens=10))
    store = StateTransaction.store

    async def die(self: StateTransaction, *arguments: Any) -> None:
        if moment == "after":
            await store(self, *arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StateTransaction, "store", die)
        with pytest.raises(Killed):
            await service.predictions.consume_once(service.take_predictions)
    await service.again().consume()
    (opened,) = of_group(await service.incidents(), "text")
    assert opened.change == pb.DRIFT_INCIDENT_CHANGE_OPENED
    assert len(await service.measurements()) == 5


async def test_replica_that_comes_too_late_tells_nothing(
    service: Any, world: Any, write_reference: WriteReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference()
    await service.publish(*world.events(300, extra_tokens=10))
    other = service.again()
    load = StateTransaction.load

    async def meanwhile(self: StateTransaction, version: ModelVersion) -> Any:
        state = await load(self, version)
        monkeypatch.setattr(StateTransaction, "load", load)
        await other.consume()
        return state

    monkeypatch.setattr(StateTransaction, "load", meanwhile)
    with pytest.raises(Exception, match="stored first"):
        await service.predictions.consume_once(service.take_predictions)
    assert len(of_group(await service.incidents(), "text")) == 1
    assert len(await service.measurements()) == 3


async def test_version_that_is_forgotten_has_its_incidents_closed(
    service: Any, world: Any, write_reference: WriteReference
) -> None:
    write_reference()
    await service.publish(*world.events(200, extra_tokens=10))
    await service.consume()
    for number in range(2, 13):
        await service.publish(*world.events(1, ModelVersion("reviews", str(number))))
        await service.consume()
    assert Population(REVIEWS) not in await service.store.populations()
    *_, closed = of_group(await service.incidents(), "text")
    assert closed.change == pb.DRIFT_INCIDENT_CHANGE_CLOSED
