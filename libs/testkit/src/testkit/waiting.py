"""Waits for what happens elsewhere, without guessing how long it takes."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], bool | Awaitable[bool]], within: float = 10.0) -> None:
    """Returns as soon as `holds` does.

    Raises:
        TimeoutError: it did not within `within` seconds.
    """
    async with asyncio.timeout(within):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
