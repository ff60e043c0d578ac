"""Decides when, where and with which others each item runs."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from inference.domain import Item, Rejection, Scored
from inference.runnable import RunnableModel


class Scheduler:
    """Runs items on a bounded number of threads, each with the version chosen for it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, work: Sequence[tuple[RunnableModel, Item]]) -> list[Scored | Rejection]:
        """One answer per item, in their order."""
        loop = asyncio.get_running_loop()
        runs = (loop.run_in_executor(self._executor, _run, *each) for each in work)
        return await asyncio.gather(*runs)


def _run(model: RunnableModel, item: Item) -> Scored | Rejection:
    prepared = model.prepare(item)
    if isinstance(prepared, Rejection):
        return prepared
    return model.run([prepared])[0]
