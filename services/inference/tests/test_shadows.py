"""Shadow versions see what was answered, and nobody notices."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from inference.domain import Caller, Item, Outcome, Prediction, Rejection
from inference.predictor import Predictor
from inference.scheduler import Scheduler
from inference.shadows import DROPPED, Shadows
from servicekit.event_stream import EventStreamUnavailable
from servicekit.identifiers import new_id
from testkit.tiny_model import write_routing
from testkit.waiting import until

from .served import Served
from .simulated import NO_LIMITS


class Records:
    """Keeps what is recorded; fails for shadows when it is told to."""

    def __init__(self) -> None:
        self.answers: list[Prediction] = []
        self.shadows: list[Prediction] = []
        self.failure: Exception | None = None

    def refusal(self, item: Item) -> Rejection | None:
        return None

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        for prediction in predictions:
            if prediction.shadow and self.failure:
                raise self.failure
            (self.shadows if prediction.shadow else self.answers).append(prediction)
        return predictions


class Shadowed:
    """Version 1 answers, version 2 shadows it."""

    def __init__(self, served: Served, scheduler: Scheduler, most_waiting: int = 100) -> None:
        self.records = Records()
        self.shadows = Shadows(
            served.repository, scheduler, self.records, new_id, most_waiting=most_waiting
        )
        self.predictor = Predictor(
            served.repository,
            self.records,
            scheduler,
            new_id,
            max_items_per_call=100,
            answered=self.shadows.offer,
        )

    async def predict(self, *texts: str, version: str = "") -> list[Outcome]:
        items = [Item(text, Caller("acme", "a-1"), "r-1", deadline=None) for text in texts]
        return await self.predictor.predict("sentiment", version, items)


async def add_shadow(served: Served) -> None:
    served.add("2")
    write_routing(served.root / "sentiment", {"1": 100}, shadow=["2"])
    await served.watch.look()


def dropped(reason: str) -> float:
    return DROPPED.labels(reason)._value.get()


async def test_answers_of_the_shadow_are_recorded_as_such_and_returned_to_nobody(
    served: Served,
) -> None:
    await add_shadow(served)
    async with Scheduler(1, NO_LIMITS) as scheduler, asyncio.TaskGroup() as group:
        subject = Shadowed(served, scheduler)
        working = group.create_task(subject.shadows.work())
        outcomes = await subject.predict("good", "bad")
        await until(lambda: _has(subject.records.shadows, 2))
        working.cancel()
    answers, shadows = subject.records.answers, subject.records.shadows
    assert outcomes == answers
    assert {answer.model_version for answer in answers} == {"1"}
    assert {shadow.model_version for shadow in shadows} == {"2"}
    assert [shadow.label for shadow in shadows] == ["positive", "negative"]
    assert len({each.prediction_id for each in (*answers, *shadows)}) == 4
    assert {shadow.item.request_id for shadow in shadows} == {"r-1"}


async def test_calls_that_name_a_version_and_rejected_inputs_are_not_shadowed(
    served: Served,
) -> None:
    await add_shadow(served)
    async with Scheduler(1, NO_LIMITS) as scheduler, asyncio.TaskGroup() as group:
        subject = Shadowed(served, scheduler)
        working = group.create_task(subject.shadows.work())
        await subject.predict("good", version="1")
        await subject.predict("good", version="2")
        await subject.predict("", "good")
        await until(lambda: _has(subject.records.shadows, 1))
        working.cancel()
    assert len(subject.records.answers) == 3


async def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(served: Served) -> None:
    await add_shadow(served)
    before = dropped("busy")
    async with Scheduler(1, NO_LIMITS) as scheduler:
        subject = Shadowed(served, scheduler, most_waiting=2)
        # Nobody works on the queue.
        assert len(await subject.predict("good", "good", "good", "good", "good")) == 5
    assert dropped("busy") == before + 3


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(EventStreamUnavailable("Away."), "unrecorded"), (RuntimeError("broken"), "failed")],
)
async def test_shadow_that_fails_is_counted_and_the_next_one_is_recorded(
    served: Served, failure: Exception, reason: str
) -> None:
    await add_shadow(served)
    before = dropped(reason)
    async with Scheduler(1, NO_LIMITS) as scheduler:
        subject = Shadowed(served, scheduler)
        working = asyncio.create_task(subject.shadows.work())
        subject.records.failure = failure
        assert all(isinstance(each, Prediction) for each in await subject.predict("good"))

        async def counted() -> bool:
            return dropped(reason) == before + 1

        await until(counted)
        subject.records.failure = None
        await subject.predict("good")
        await until(lambda: _has(subject.records.shadows, 1))
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def test_models_that_went_away_while_they_answered_have_no_shadow(served: Served) -> None:
    await add_shadow(served)
    async with Scheduler(1, NO_LIMITS) as scheduler:
        subject = Shadowed(served, scheduler)
        outcomes = await subject.predict("good")
        served.repository.replace({})
        subject.shadows.offer([each for each in outcomes if isinstance(each, Prediction)])


async def _has(found: Sequence[Prediction], count: int) -> bool:
    return len(found) >= count
