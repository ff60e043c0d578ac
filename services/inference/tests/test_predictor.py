"""Decisions about the items of a call, with an executor and a recorder that the test holds."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis.asyncio import Redis

from inference.domain import Caller, Item, Prediction, QueueFull
from inference.model_repository import ModelRepository
from inference.predictor import Predictor
from inference.recorder import UNLOGGED, Recorder
from inference.scheduler import Scheduler
from servicekit.event_stream import EventPublisher, EventStreamUnavailable
from servicekit.identifiers import new_id
from servicekit.redis_client import open_redis
from testkit.stores import running_redis
from testkit.waiting import until


class MemoryRecorder:
    def __init__(self) -> None:
        self.predictions: list[Prediction] = []

    def check(self, items: Sequence[Item]) -> None:
        pass

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        self.predictions += predictions
        return predictions


class Gate(ThreadPoolExecutor):
    """One thread that does nothing until the gate opens."""

    def __init__(self) -> None:
        super().__init__(1)
        self._opened = threading.Event()
        self.submit(self._opened.wait)

    def open(self) -> None:
        self._opened.set()


def items(count: int) -> list[Item]:
    return [Item("good", Caller("acme", "a-1"), "req-1") for _ in range(count)]


def predictor(
    repository: ModelRepository, recorder: MemoryRecorder | Recorder, executor: ThreadPoolExecutor
) -> Predictor:
    return Predictor(
        repository, recorder, Scheduler(executor), new_id, max_items_per_call=4, max_waiting_items=4
    )


async def test_more_than_the_bound_is_refused_at_once_and_taken_later(
    repository: ModelRepository,
) -> None:
    recorder = MemoryRecorder()
    with Gate() as gate:
        subject = predictor(repository, recorder, gate)
        waiting = asyncio.create_task(subject.predict("sentiment", "", items(3)))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as caught:
            await subject.predict("sentiment", "", items(2))
        assert caught.value.retry_after is not None
        gate.open()
        assert len(await waiting) == 3
        assert len(await subject.predict("sentiment", "", items(2))) == 2
    assert len(recorder.predictions) == 5


async def test_call_that_was_given_up_is_neither_run_nor_recorded(
    repository: ModelRepository,
) -> None:
    recorder = MemoryRecorder()
    with Gate() as gate:
        subject = predictor(repository, recorder, gate)
        given_up = asyncio.create_task(subject.predict("sentiment", "", items(4)))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        gate.open()
        await subject.predict("sentiment", "", items(4))
    assert len(recorder.predictions) == 4


async def test_blocking_policy_answers_nothing_that_is_not_recorded(
    repository: ModelRepository, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as server, ThreadPoolExecutor(1) as executor:
        redis = open_redis(server.url, timeout=0.5)
        recorder = Recorder(EventPublisher(redis), "s", "block")
        subject = predictor(repository, recorder, executor)
        server.kill()
        with pytest.raises(EventStreamUnavailable) as caught:
            await subject.predict("sentiment", "", items(2))
        assert caught.value.retry_after is not None
        server.start_ready()
        await subject.predict("sentiment", "", items(2))
        assert await redis.xlen("s") == 2
        await redis.aclose()


async def test_serving_unlogged_says_so_and_counts(
    repository: ModelRepository, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as server, ThreadPoolExecutor(1) as executor:
        redis = open_redis(server.url, timeout=0.5)
        recorder = Recorder(EventPublisher(redis), "s", "serve_unlogged")
        subject = predictor(repository, recorder, executor)
        server.kill()
        before = UNLOGGED._value.get()
        outcomes = await subject.predict("sentiment", "", items(2))
        assert all(isinstance(each, Prediction) and each.unlogged for each in outcomes)
        assert UNLOGGED._value.get() == before + 2
        await redis.aclose()


async def test_concurrent_calls_record_each_prediction_once(
    repository: ModelRepository, redis: Redis
) -> None:
    with ThreadPoolExecutor(2) as executor:
        subject = Predictor(
            repository,
            Recorder(EventPublisher(redis), "s", "block"),
            Scheduler(executor),
            new_id,
            max_items_per_call=4,
            max_waiting_items=1000,
        )
        await asyncio.gather(*(subject.predict("sentiment", "", items(3)) for _ in range(50)))

    async def all_there() -> bool:
        return int(await redis.xlen("s")) == 150

    await until(all_there)
