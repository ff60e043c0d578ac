"""The same input to the same version is run once."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from inference.answer_cache import Answer, AnswerCache, Work
from inference.domain import Caller, Fault, FeatureValue, Item, Rejection, Scored, TextFacts

from .simulated import FakeModel, item

SATURATED = Rejection(Fault.SATURATED, "Full.", retry_after=1.0)


class Runs:
    """Answers with the length of the text, refuses what it is told to, and waits if told to."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self.refused: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, work: Work) -> list[Answer]:
        self.texts += [each.text for _, each in work]
        await self.open.wait()
        return [
            SATURATED
            if each.text in self.refused
            else Scored({"positive": 1.0}, TextFacts(b"", len(each.text or ""), 1, 0, 0), 3.0)
            for _, each in work
        ]


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


def cached(answers: Sequence[Answer]) -> list[bool]:
    assert all(isinstance(answer, Scored) for answer in answers)
    return [isinstance(answer, Scored) and answer.cached for answer in answers]


async def test_answer_is_given_again_and_says_so(model: FakeModel) -> None:
    runs = Runs()
    cache = AnswerCache(runs, 10)
    (first,) = await cache.run([(model, item("good", tenant="acme"))])
    (second,) = await cache.run([(model, item("good", tenant="zeta"))])
    assert isinstance(first, Scored)
    assert isinstance(second, Scored)
    assert (first.cached, second.cached) == (False, True)
    assert second.milliseconds == 0
    assert second.facts == first.facts
    assert runs.texts == ["good"]


async def test_other_text_or_other_version_is_run(model: FakeModel) -> None:
    runs = Runs()
    cache = AnswerCache(runs, 10)
    await cache.run([(model, item("good"))])
    answers = await cache.run([(model, item("good ")), (FakeModel(), item("good"))])
    assert cached(answers) == [False, False]


async def test_least_recently_used_answer_goes_first(model: FakeModel) -> None:
    runs = Runs()
    cache = AnswerCache(runs, 2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await cache.run([(model, item(text))])
    assert runs.texts == ["a", "b", "c", "b"]


async def test_rejection_is_not_kept(model: FakeModel) -> None:
    runs = Runs()
    runs.refused = {"good"}
    cache = AnswerCache(runs, 10)
    assert await cache.run([(model, item("good"))]) == [SATURATED]
    runs.refused = set()
    assert cached(await cache.run([(model, item("good"))])) == [False]


async def test_equal_items_of_one_call_are_run_once(model: FakeModel) -> None:
    runs = Runs()
    answers = await AnswerCache(runs, 10).run([(model, item(text)) for text in "abab"])
    assert cached(answers) == [False, False, True, True]
    assert runs.texts == ["a", "b"]


async def test_equal_items_of_calls_at_the_same_time_are_run_once(model: FakeModel) -> None:
    runs = Runs()
    runs.open.clear()
    cache = AnswerCache(runs, 10)
    calls = [asyncio.create_task(cache.run([(model, item("good"))])) for _ in range(5)]
    await asyncio.sleep(0)
    runs.open.set()
    answers = [answer for call in await asyncio.gather(*calls) for answer in call]
    assert sorted(cached(answers)) == [False, True, True, True, True]
    assert runs.texts == ["good"]


async def test_who_waits_for_an_equal_item_that_is_given_up_gets_its_own_run(
    model: FakeModel,
) -> None:
    runs = Runs()
    runs.open.clear()
    cache = AnswerCache(runs, 10)
    first = asyncio.create_task(cache.run([(model, item("good"))]))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.run([(model, item("good"))]))
    await asyncio.sleep(0)
    first.cancel()
    runs.open.set()
    assert cached(await second) == [False]
    assert runs.texts == ["good", "good"]


async def test_who_gives_up_waiting_does_not_disturb_the_run(model: FakeModel) -> None:
    runs = Runs()
    runs.open.clear()
    cache = AnswerCache(runs, 10)
    first = asyncio.create_task(cache.run([(model, item("good"))]))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.run([(model, item("good"))]))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    runs.open.set()
    assert cached(await first) == [False]


async def test_tensors_are_equal_where_names_types_shapes_and_values_are(model: FakeModel) -> None:
    ones = np.ones((1, 4), dtype=np.float32)
    words = np.array([["a", "b"]], dtype=object)
    rows = [
        {"x": ones},
        {"x": ones.copy()},
        {"y": ones},
        {"x": ones.astype(np.float64)},
        {"x": ones.reshape(4, 1)},
        {"x": ones * 2},
        {"x": words},
        {"x": words.copy()},
    ]
    work = [(model, Item(None, Caller("acme", "c"), "r", tensors=row)) for row in rows]
    answers = await AnswerCache(Runs(), 10).run(work)
    assert cached(answers) == [False, True, False, False, False, False, False, True]


async def test_rows_of_a_table_are_told_apart(model: FakeModel) -> None:
    runs = Runs()
    cache = AnswerCache(runs, 10)
    rows: list[dict[str, FeatureValue]] = [{"a": 1.0}, {"a": True}, {"a": "1.0"}, {"b": 1.0}, {}]
    work = [(model, Item(None, Caller("acme", "c"), "r", row=row)) for row in rows]
    await cache.run(work)
    await cache.run(work[:1])
    assert len(runs.texts) == len(rows)
