"""A gateway that is told to stop answers everything that reaches it, and sends clients away."""

import asyncio
from contextlib import suppress

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.edge_settings import HttpSettings
from gateway.http_server import listen, serve
from testkit.waiting import until

from .wire import get, wire


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.answers.wait()
        await PlainTextResponse("here")(scope, receive, send)


class Served:
    """An application on a port, until it is stopped."""

    def __init__(self, app: Slow, **settings: float) -> None:
        self._listener = listen("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        options = HttpSettings(**settings)
        self.serving = asyncio.create_task(serve(app, self._listener, options))

    async def stop(self) -> None:
        self.serving.cancel()
        with suppress(asyncio.CancelledError):
            await self.serving


@pytest.fixture
def slow() -> Slow:
    return Slow()


async def test_an_idle_connection_is_answered_once_more_and_told_to_go(slow: Slow) -> None:
    served = Served(slow, drain_seconds=30.0)
    async with wire(served.port) as connection:
        await connection.send(get("/"))
        _, before, _ = await connection.answer()
        stopping = asyncio.create_task(served.stop())
        await until(lambda: served.serving.cancelling() > 0)
        await connection.send(get("/"))
        status, after, body = await connection.answer()
    await stopping
    assert "connection" not in before
    assert (status, after["connection"], body) == (200, "close", b"here")


async def test_a_new_connection_is_still_answered(slow: Slow) -> None:
    served = Served(slow, drain_seconds=30.0)
    async with wire(served.port) as idle:
        await idle.send(get("/"))
        await idle.answer()
        stopping = asyncio.create_task(served.stop())
        await until(lambda: served.serving.cancelling() > 0)
        async with wire(served.port) as late:
            await late.send(get("/"))
            assert (await late.answer())[0] == 200
    await stopping


async def test_it_waits_for_an_answer_longer_than_for_idle_connections(slow: Slow) -> None:
    served = Served(slow, drain_seconds=0.0, shutdown_grace=30.0)
    slow.answers.clear()
    async with wire(served.port) as connection:
        await connection.send(get("/"))
        await slow.asked.wait()
        stopping = asyncio.create_task(served.stop())
        await until(lambda: served.serving.cancelling() > 0)
        # As the process's own stop does every second while something does not end.
        for _ in range(3):
            await asyncio.sleep(0)
            served.serving.cancel()
        slow.answers.set()
        status, headers, _ = await connection.answer()
    await stopping
    assert (status, headers["connection"]) == (200, "close")


async def test_what_stays_idle_holds_it_up_no_longer_than_is_set(slow: Slow) -> None:
    served = Served(slow, drain_seconds=0.1)
    async with wire(served.port) as idle, asyncio.timeout(20):
        await idle.send(get("/"))
        await idle.answer()
        await served.stop()
        assert (await idle.head())[0] == 0
