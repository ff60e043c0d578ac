"""Stopping, whatever the background work does."""

import asyncio
import os
import signal

from servicekit.lifecycle import run_until_stopped


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
