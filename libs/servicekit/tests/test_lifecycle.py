"""Stopping, whatever the background work does."""

import asyncio
import os
import signal

import structlog

from servicekit.lifecycle import ended, run_until_stopped, running_beside


async def ask_to_stop() -> None:
    # By then the signal handlers, which are set up in this turn of the loop, are there.
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()


async def test_work_that_loses_a_cancellation_still_ends() -> None:
    ended = asyncio.Event()

    async def lose_one_cancellation() -> None:
        try:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(10):
        await run_until_stopped(lose_one_cancellation(), ask_to_stop())
    assert ended.is_set()


async def test_work_may_clean_up_before_the_stop_is_complete() -> None:
    cleaned_up = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.set()

    async with asyncio.timeout(10):
        await run_until_stopped(work(), ask_to_stop())
    assert cleaned_up.is_set()


async def test_work_beside_runs_as_long_as_the_context_and_cleans_up() -> None:
    started, cleaned_up = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()

    async with running_beside(work()):
        await asyncio.wait_for(started.wait(), 10)
        assert not cleaned_up.is_set()
    assert cleaned_up.is_set()


async def test_work_beside_that_ends_by_itself_is_told() -> None:
    failed = asyncio.Event()

    async def fail() -> None:
        asyncio.get_running_loop().call_soon(failed.set)
        raise ValueError("broken")

    with structlog.testing.capture_logs() as logs:
        async with running_beside(fail()):
            await asyncio.wait_for(failed.wait(), 10)
            await asyncio.sleep(0)
    assert [entry["event"] for entry in logs] == ["background_work_ended"]


async def test_work_beside_a_server_goes_on_until_it_has_drained() -> None:
    order: list[str] = []

    async def serve() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            order.append("drained")

    async def follow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            order.append("followed no more")

    async with asyncio.timeout(10):
        await run_until_stopped(serve(), ask_to_stop(), beside=[follow()])
    assert order == ["drained", "followed no more"]


async def test_waiting_for_an_end_outlasts_cancellations() -> None:
    work = asyncio.create_task(asyncio.sleep(0.05))
    waiting = asyncio.create_task(ended(work))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    assert await waiting is True
    assert not work.cancelled()


async def test_waiting_for_an_end_is_given_up_in_time() -> None:
    work = asyncio.create_task(asyncio.Event().wait())
    assert await ended(work, within=0.01) is False
    work.cancel()
    assert await ended(work) is True
