"""Threads, the event loop and models that fail, wait or are given up."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from inference.admission import Limits
from inference.domain import Fault, Item, Rejection, Scored
from inference.runnable import Prepared
from inference.scheduler import Answer, Scheduler
from testkit.waiting import until

from .simulated import ALONE, NO_LIMITS, TOGETHER, Encoded, FakeModel, Latency, item


class GatedModel(FakeModel):
    """Runs nothing until the gate opens."""

    def __init__(self) -> None:
        super().__init__(TOGETHER)
        self.gate = threading.Event()
        self.started = threading.Event()

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        self.started.set()
        assert self.gate.wait(30)
        return super().run(batch)

    @property
    def texts(self) -> list[str]:
        return sorted(text for batch in self.batches for text in batch)


class PickyModel(GatedModel):
    """Fails on every batch with a text that it does not like, and cannot even encode another."""

    def prepare(self, item: Item) -> Encoded | Rejection:
        if item.text == "unreadable":
            raise RuntimeError("no words for it")
        if item.text == "blank":
            return Rejection(Fault.TEXT_BLANK, "The text is blank.")
        return super().prepare(item)

    def run(self, batch: Sequence[Prepared]) -> list[Scored]:
        scored = super().run(batch)
        if "poison" in self.batches[-1]:
            raise RuntimeError("it does not like it")
        return scored[:-1] if "lost" in self.batches[-1] else scored


@pytest_asyncio.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Scheduler(1, NO_LIMITS) as scheduler:
        yield scheduler


def faults(answers: Sequence[Answer]) -> list[Fault | None]:
    return [answer.fault if isinstance(answer, Rejection) else None for answer in answers]


async def until_set(event: threading.Event) -> None:
    async def is_set() -> bool:
        return event.is_set()

    await until(is_set)


async def test_thread_that_runs_a_model_gives_way_to_the_event_loop(scheduler: Scheduler) -> None:
    found: list[int] = []

    class Asking(FakeModel):
        def run(self, batch: Sequence[Prepared]) -> list[Scored]:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().run(batch)

    await scheduler.run([(Asking(TOGETHER), item("a"))])

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert (found[0] > own) == (sys.platform == "linux")


async def test_answers_keep_the_order_of_the_items(scheduler: Scheduler) -> None:
    model = FakeModel(TOGETHER)
    texts = ["x" * (1 + number * 37 % 50) for number in range(200)]
    answers = await scheduler.run([(model, item(text)) for text in texts])
    assert [each.facts.characters for each in answers if isinstance(each, Scored)] == [
        len(text) for text in texts
    ]


async def test_nothing_to_run_is_answered_with_nothing(scheduler: Scheduler) -> None:
    assert await scheduler.run([]) == []


async def test_many_calls_of_several_models_and_tenants_are_all_answered() -> None:
    models = [FakeModel(ALONE, "a"), FakeModel(TOGETHER, "b")]
    async with Scheduler(3, NO_LIMITS) as scheduler:
        calls = (
            scheduler.run(
                [(models[(number + each) % 2], item("x" * (1 + each), f"t-{number % 7}"))]
                * (1 + number % 5),
                background=number % 11 == 0,
            )
            for number in range(100)
            for each in range(3)
        )
        answers = [answer for call in await asyncio.gather(*calls) for answer in call]
    assert len(answers) == 3 * sum(1 + number % 5 for number in range(100))
    assert set(faults(answers)) == {None}


async def test_caller_that_goes_away_takes_its_waiting_items_along(scheduler: Scheduler) -> None:
    model = GatedModel()
    running = asyncio.create_task(scheduler.run([(model, item("first"))]))
    await until_set(model.started)
    given_up = asyncio.create_task(scheduler.run([(model, item("never"))] * 3))
    kept = asyncio.create_task(scheduler.run([(model, item("kept"))]))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    model.gate.set()
    await asyncio.gather(running, kept)
    assert model.texts == ["first", "kept"]


async def test_item_whose_time_is_up_is_not_run(scheduler: Scheduler) -> None:
    model = GatedModel()
    running = asyncio.create_task(scheduler.run([(model, item("first"))]))
    await until_set(model.started)
    # Foreseen to be in time: a run was never seen to take this long.
    late = item("late", deadline=time.monotonic() + 0.05)
    waiting = asyncio.create_task(scheduler.run([(model, late), (model, item("kept"))]))

    async def is_late() -> bool:
        return time.monotonic() > (late.deadline or 0)

    await until(is_late)
    model.gate.set()
    await running
    assert faults(await waiting) == [Fault.DEADLINE_EXCEEDED, None]
    assert model.texts == ["first", "kept"]


async def test_what_is_too_much_is_refused_while_the_rest_is_taken() -> None:
    model = GatedModel()
    async with Scheduler(1, Limits(items=3, seconds=1.0, short_queue=3)) as scheduler:
        running = asyncio.create_task(scheduler.run([(model, item("first"))]))
        await until_set(model.started)
        waiting = asyncio.create_task(scheduler.run([(model, item("some"))] * 2))
        await asyncio.sleep(0)
        overflowing = asyncio.create_task(scheduler.run([(model, item("more"))] * 3))
        await asyncio.sleep(0)
        (refused,) = await scheduler.run([(model, item("none"))])
        assert isinstance(refused, Rejection)
        assert refused.fault is Fault.SATURATED
        assert refused.retry_after > 0
        model.gate.set()
        assert faults(await waiting) == [None, None]
        assert faults(await overflowing) == [None, Fault.SATURATED, Fault.SATURATED]
        await running


async def test_poison_fails_alone(scheduler: Scheduler) -> None:
    model = PickyModel()
    scheduler._schedule.introduce(model, Latency())
    running = asyncio.create_task(scheduler.run([(model, item("first"))]))
    await until_set(model.started)
    texts = ["a", "poison", "b", "unreadable", "blank", "c"]
    waiting = asyncio.create_task(scheduler.run([(model, item(text)) for text in texts]))

    async def encoded() -> bool:
        return scheduler._schedule.ready == 4

    await until(encoded)
    model.gate.set()
    failed = Fault.MODEL_FAILED
    assert faults(await waiting) == [None, failed, None, failed, Fault.TEXT_BLANK, None]
    assert max(map(len, model.batches)) > 1
    await running


async def test_model_that_loses_an_answer_mixes_none_up(scheduler: Scheduler) -> None:
    model = PickyModel()
    model.gate.set()
    answers = await scheduler.run([(model, item(text)) for text in ("a", "lost")])
    assert Fault.MODEL_FAILED in faults(answers)
    for text, answer in zip(("a", "lost"), answers, strict=True):
        assert isinstance(answer, Rejection) or answer.facts.characters == len(text)


async def test_background_waits_until_nothing_else_does(scheduler: Scheduler) -> None:
    model = GatedModel()
    running = asyncio.create_task(scheduler.run([(model, item("first"))]))
    await until_set(model.started)
    shadow = asyncio.create_task(scheduler.run([(model, item("shadow"))], background=True))
    await asyncio.sleep(0)
    answered = asyncio.create_task(scheduler.run([(model, item("answered"))]))
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(running, shadow, answered)
    assert model.batches == [["first"], ["answered"], ["shadow"]]


async def test_model_is_measured_before_it_takes_calls() -> None:
    async with Scheduler(1, NO_LIMITS) as scheduler:
        model = FakeModel(TOGETHER)
        await asyncio.to_thread(scheduler.warm_up, model)
        assert {len(batch) for batch in model.batches} == {1, 4}


async def test_threads_end_with_the_scheduler() -> None:
    before = threading.active_count()
    async with Scheduler(4, NO_LIMITS) as scheduler:
        await scheduler.run([(FakeModel(), item("x"))])
        assert threading.active_count() >= before + 5
    assert not [each for each in threading.enumerate() if each.name.startswith("model_")]
