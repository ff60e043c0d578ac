"""Decisions about the items of a call, with a runner and a recorder that the test holds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from redis.asyncio import Redis

from inference.answer_cache import Answer, Runner, Work
from inference.domain import (
    Caller,
    Fault,
    Item,
    OutOfTime,
    Prediction,
    QueueFull,
    Rejection,
    Scored,
    SealingKeyMissing,
    TextFacts,
)
from inference.item_spans import ItemSpans
from inference.model_repository import ModelRepository
from inference.predictor import PredictionRecorder, Predictor
from inference.recorder import UNLOGGED, Recorder
from inference.scheduler import Scheduler
from servicekit import span_names
from servicekit.event_stream import EventPublisher, EventStreamUnavailable
from servicekit.identifiers import new_id
from servicekit.redis_client import open_redis
from testkit.stores import running_redis
from testkit.waiting import until

from .simulated import NO_LIMITS

TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-"
FULL = Rejection(Fault.SATURATED, "Full.", retry_after=0.5)
LATE = Rejection(Fault.DEADLINE_EXCEEDED, "Late.")
NO_KEY = Rejection(Fault.SEALING_KEY_MISSING, "No key.", retry_after=10.0)


class MemoryRecorder:
    def __init__(self, refused: str = "") -> None:
        self.predictions: list[Prediction] = []
        self.refused = refused

    def refusal(self, item: Item) -> Rejection | None:
        return NO_KEY if item.text == self.refused else None

    async def record(self, predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        self.predictions += predictions
        return predictions


class Scripted:
    """Gives the rejection that a text is mapped to; everything else is good."""

    def __init__(self, **rejections: Rejection) -> None:
        self.rejections = rejections

    async def run(self, work: Work) -> list[Answer]:
        scored = Scored({"negative": 0.1, "positive": 0.9}, TextFacts(b"", 4, 3, 0, 2), 2.0)
        return [self.rejections.get(item.text or "", scored) for _, item in work]


@pytest_asyncio.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Scheduler(2, NO_LIMITS) as scheduler:
        yield scheduler


def items(*texts: str, traceparent: str = "") -> list[Item]:
    return [Item(text, Caller("acme", "a-1"), "req-1", traceparent=traceparent) for text in texts]


def predictor(
    repository: ModelRepository,
    recorder: PredictionRecorder,
    runner: Runner,
    spans: ItemSpans | None = None,
) -> Predictor:
    return Predictor(repository, recorder, runner, new_id, max_items_per_call=4, spans=spans)


@pytest.mark.parametrize(
    ("rejection", "error"),
    [(FULL, QueueFull), (LATE, OutOfTime), (NO_KEY, SealingKeyMissing)],
)
async def test_call_fails_as_a_whole_when_one_reason_keeps_every_item_from_being_tried(
    repository: ModelRepository, rejection: Rejection, error: type[QueueFull]
) -> None:
    recorder = MemoryRecorder()
    subject = predictor(repository, recorder, Scripted(a=rejection, b=rejection))
    with pytest.raises(error) as caught:
        await subject.predict("sentiment", "", items("a", "b"))
    assert caught.value.retry_after == (rejection.retry_after or None)
    assert recorder.predictions == []


async def test_items_fail_one_by_one_where_others_do_not(repository: ModelRepository) -> None:
    recorder = MemoryRecorder(refused="c")
    subject = predictor(repository, recorder, Scripted(a=FULL, b=LATE))
    outcomes = await subject.predict("sentiment", "", items("a", "b", "c", "good"))
    assert outcomes[:3] == [FULL, LATE, NO_KEY]
    assert isinstance(outcomes[3], Prediction)
    assert [each.item.text for each in recorder.predictions] == ["good"]


async def test_bad_input_is_the_callers_and_never_an_error_of_the_call(
    repository: ModelRepository,
) -> None:
    blank = Rejection(Fault.TEXT_BLANK, "Blank.")
    subject = predictor(repository, MemoryRecorder(), Scripted(a=blank))
    assert await subject.predict("sentiment", "", items("a", "a")) == [blank, blank]
    mixed = predictor(repository, MemoryRecorder(), Scripted(a=blank, b=FULL))
    assert await mixed.predict("sentiment", "", items("a", "b")) == [blank, FULL]


async def test_item_of_a_sampled_trace_shows_there(repository: ModelRepository) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    subject = predictor(repository, MemoryRecorder(), Scripted(bad=FULL), spans=ItemSpans(provider))
    with provider.get_tracer("test").start_as_current_span("call") as call:
        for traceparent in (TRACE + "01", TRACE + "00", "nonsense", "00-" + "0" * 32 + "-1-01"):
            await subject.predict("sentiment", "", items("good", "bad", traceparent=traceparent))
        own = f"00-{call.get_span_context().trace_id:032x}-0123456789abcdef-01"
        await subject.predict("sentiment", "", items("good", traceparent=own))
    good, bad = (
        span for span in exporter.get_finished_spans() if span.name == span_names.PREDICT_ITEM
    )
    for span in (good, bad):
        assert format(span.context.trace_id, "032x") == TRACE[3:35]
        assert span.parent is not None
        assert format(span.parent.span_id, "016x") == TRACE[36:52]
        assert [link.context.trace_id for link in span.links] == [call.get_span_context().trace_id]
    assert good.attributes is not None
    assert good.attributes["weir.model"] == "sentiment"
    assert bad.status.description == "SATURATED"


async def test_blocking_policy_answers_nothing_that_is_not_recorded(
    repository: ModelRepository, scheduler: Scheduler, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=0.5)
        subject = predictor(repository, Recorder(EventPublisher(redis), "s", "block"), scheduler)
        server.kill()
        with pytest.raises(EventStreamUnavailable) as caught:
            await subject.predict("sentiment", "", items("good", "bad"))
        assert caught.value.retry_after is not None
        server.start_ready()
        await subject.predict("sentiment", "", items("good", "bad"))
        assert await redis.xlen("s") == 2
        await redis.aclose()


async def test_serving_unlogged_says_so_and_counts(
    repository: ModelRepository, scheduler: Scheduler, tmp_path: Path
) -> None:
    with running_redis(tmp_path) as server:
        redis = open_redis(server.url, timeout=0.5)
        recorder = Recorder(EventPublisher(redis), "s", "serve_unlogged")
        subject = predictor(repository, recorder, scheduler)
        server.kill()
        before = UNLOGGED._value.get()
        outcomes = await subject.predict("sentiment", "", items("good", "bad"))
        assert all(isinstance(each, Prediction) and each.unlogged for each in outcomes)
        assert UNLOGGED._value.get() == before + 2
        await redis.aclose()


async def test_concurrent_calls_record_each_prediction_once(
    repository: ModelRepository, scheduler: Scheduler, redis: Redis
) -> None:
    subject = predictor(repository, Recorder(EventPublisher(redis), "s", "block"), scheduler)
    texts = ("good", "bad", "day")
    await asyncio.gather(*(subject.predict("sentiment", "", items(*texts)) for _ in range(50)))

    async def all_there() -> bool:
        return int(await redis.xlen("s")) == 150

    await until(all_there)
