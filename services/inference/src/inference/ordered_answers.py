"""Answers a stream of requests in their order, several of them at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


async def in_order(
    requests: AsyncIterator[RequestT],
    answer: Callable[[RequestT], Awaitable[AnswerT]],
    *,
    most: int,
) -> AsyncIterator[AnswerT]:
    """The answer to each request, in the order of the requests.

    No further request is read while `most` of them wait for their turn, so that a client that sends
    without reading is slowed down, and memory stays bounded. What is under way when the caller
    stops is cancelled.
    """
    under_way: asyncio.Queue[asyncio.Task[AnswerT] | None] = asyncio.Queue()
    room = asyncio.Semaphore(most)

    async def read() -> None:
        try:
            async for request in requests:
                await room.acquire()
                under_way.put_nowait(asyncio.create_task(_awaited(answer(request))))
        finally:
            under_way.put_nowait(None)

    reading = asyncio.create_task(read())
    task: asyncio.Task[AnswerT] | None = None
    try:
        while (task := await under_way.get()) is not None:
            yield await task
            room.release()
        # Raises what ended the stream of requests, if it was not its end.
        await reading
    finally:
        left: list[asyncio.Task[Any]] = [reading, *([task] if task else [])]
        while not under_way.empty():
            if waiting := under_way.get_nowait():
                left.append(waiting)
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _awaited(value: Awaitable[AnswerT]) -> AnswerT:
    return await value
