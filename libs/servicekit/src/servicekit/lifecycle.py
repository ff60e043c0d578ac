"""Runs a service until it is asked to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

_log = structlog.get_logger(__name__)

_CANCEL_AGAIN_AFTER = 1.0


async def stop_signal() -> None:
    """Returns at the first SIGTERM or SIGINT; a second one then ends the process at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)
    _log.info("stop_requested")


async def run_until_stopped(
    *tasks: Coroutine[Any, Any, None], beside: Iterable[Coroutine[Any, Any, None]] = ()
) -> None:
    """Runs work until a stop signal; work that fails stops it all.

    Args:
        beside: goes on until the other work has ended, which may take its time to finish.
    """
    async with asyncio.TaskGroup() as group:
        running = {group.create_task(task) for task in tasks}
        helping = {group.create_task(task) for task in beside}
        await group.create_task(stop_signal())
        await _cancel(running)
        await _cancel(helping)


async def ended(work: "asyncio.Task[Any]", within: float | None = None) -> bool:
    """Waits for a task to end, however often the waiting one is cancelled meanwhile.

    Args:
        within: seconds; None for as long as it takes.

    Returns:
        Whether it has ended. What it raised stays with it.
    """
    loop = asyncio.get_running_loop()
    give_up = None if within is None else loop.time() + within
    while not work.done():
        left = None if give_up is None else give_up - loop.time()
        if left is not None and left <= 0:
            break
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work], timeout=left)
    return work.done()


def cancellation_was_dropped() -> bool:
    """Whether this task was cancelled and goes on all the same.

    In Python 3.11 `asyncio.wait_for`, which redis-py sends every command with, drops a cancellation
    that arrives as the send completes (python/cpython#86296).
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def every(interval: float, action: Callable[[], Awaitable[None]]) -> None:
    """Awaits `action` now and then every `interval` seconds; a failure is logged, not fatal."""
    while True:
        try:
            await action()
        except Exception:
            _log.exception("periodic_action_failed", action=getattr(action, "__name__", "?"))
        await asyncio.sleep(interval)


@asynccontextmanager
async def running_beside(*tasks: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs background work until the context ends; work that ends by itself is logged."""
    running = {asyncio.create_task(task) for task in tasks}
    for task in running:
        task.add_done_callback(_tell_end)
    try:
        yield
    finally:
        await _cancel(running)


def _tell_end(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        _log.error("background_work_ended", exc_info=task.exception())


async def _cancel(pending: "set[asyncio.Task[None]]") -> None:
    while pending:
        # Once is not enough: see cancellation_was_dropped.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_AFTER)
