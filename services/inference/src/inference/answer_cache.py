"""Answers that were given before: the same input to the same version is not run again."""

import asyncio
import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from prometheus_client import Counter

from inference.domain import Item, Rejection, Scored
from inference.runnable import RunnableModel

ANSWERS = Counter(
    "weir_inference_cache_lookups_total",
    "Items that were looked up in the answer cache: a hit was answered from it, a shared one with "
    "an equal item that was under way, a miss was run.",
    ["result"],
)
for _result in ("hit", "shared", "miss"):
    ANSWERS.labels(_result)

Answer = Scored | Rejection
Work = Sequence[tuple[RunnableModel, Item]]
_Key = tuple[weakref.ref[RunnableModel], bytes]
"""A version that is unloaded takes its answers out of reach, though not at once out of memory."""


class Runner(Protocol):
    """Answers by running models."""

    async def run(self, work: Work) -> list[Answer]:
        """One answer per item, in their order."""
        ...


class AnswerCache:
    """Keeps the newest answers by the hash of the exact input, whoever asked.

    A rejection is never kept. An answer holds no more of the input than its hash and its counts.

    Args:
        items: answers that are kept; the one that was used longest ago goes first.
    """

    def __init__(self, runner: Runner, items: int) -> None:
        self._runner = runner
        self._items = items
        self._answers: OrderedDict[_Key, Scored] = OrderedDict()
        self._under_way: dict[_Key, asyncio.Future[Answer | None]] = {}

    async def run(self, work: Work) -> list[Answer]:
        """One answer per item, in their order; those that were not run are marked as cached."""
        keys = [(weakref.ref(model), _digest(item)) for model, item in work]
        answers: list[Answer | None] = [self._known(key) for key in keys]
        shared = {
            place: self._under_way[key]
            for place, key in enumerate(keys)
            if answers[place] is None and key in self._under_way
        }
        new: dict[_Key, int] = {}
        for place, key in enumerate(keys):
            if answers[place] is None and place not in shared:
                new.setdefault(key, place)
        await self._run_new(work, new, answers)
        for place, future in shared.items():
            answers[place] = _as_cached(await asyncio.shield(future))
        for place, key in enumerate(keys):
            if answers[place] is None and key in new:
                answers[place] = _as_cached(answers[new[key]])
        await self._run_rest(work, answers)
        return [answer for answer in answers if answer is not None]

    async def _run_new(
        self, work: Work, new: dict[_Key, int], answers: list[Answer | None]
    ) -> None:
        loop = asyncio.get_running_loop()
        futures = {key: loop.create_future() for key in new}
        self._under_way.update(futures)
        ANSWERS.labels("miss").inc(len(new))
        try:
            given = await self._runner.run([work[place] for place in new.values()])
            for (key, place), answer in zip(new.items(), given, strict=True):
                answers[place] = answer
                if isinstance(answer, Scored):
                    self._keep(key, answer)
                futures[key].set_result(answer)
        finally:
            for key, future in futures.items():
                del self._under_way[key]
                if not future.done():
                    future.set_result(None)

    async def _run_rest(self, work: Work, answers: list[Answer | None]) -> None:
        """Those whose equal was refused or given up, for reasons of its own."""
        places = [place for place, answer in enumerate(answers) if answer is None]
        if places:
            ANSWERS.labels("miss").inc(len(places))
            given = await self._runner.run([work[place] for place in places])
            for place, answer in zip(places, given, strict=True):
                answers[place] = answer

    def _known(self, key: _Key) -> Scored | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        self._answers.move_to_end(key)
        ANSWERS.labels("hit").inc()
        return answer

    def _keep(self, key: _Key, answer: Scored) -> None:
        self._answers[key] = replace(answer, milliseconds=0.0, cached=True)
        if len(self._answers) > self._items:
            self._answers.popitem(last=False)


def _as_cached(answer: Answer | None) -> Scored | None:
    if not isinstance(answer, Scored):
        return None
    ANSWERS.labels("shared").inc()
    return replace(answer, milliseconds=0.0, cached=True)


def _digest(item: Item) -> bytes:
    if item.text is not None:
        return hashlib.sha256(b"text\0" + item.text.encode(errors="surrogatepass")).digest()
    if item.row is not None:
        return hashlib.sha256(b"row\0" + repr(sorted(item.row.items())).encode()).digest()
    digest = hashlib.sha256(b"tensors\0")
    for name, tensor in sorted((item.tensors or {}).items()):
        head = f"{name}\0{tensor.dtype.str}\0{tensor.shape}\0"
        content = repr(tensor.tolist()) if tensor.dtype.hasobject else tensor.tobytes()
        digest.update(head.encode())
        digest.update(content if isinstance(content, bytes) else content.encode())
    return digest.digest()
