"""Which requests share a call, who goes first, and what becomes of those that leave."""

import asyncio
import gc
import time
from collections.abc import Sequence

import pytest

from gateway.client_presence import ClientPresence
from gateway.coalescer import Bounds, Coalescer, Waiting
from gateway.errors import ClientGone, ClientGoneUnserved, DeadlineBeforeSending, GatewayFull
from gateway.room import Room
from servicekit import request_context
from servicekit.errors import DeadlineExceeded, Unavailable

BOUNDS = Bounds(calls=1, most_calls=3, items_per_call=4)


class Service:
    """Answers each item with its name in capitals, once the test opens it."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.traces: list[str] = []
        self.left: list[float] = []
        self.cancelled = 0
        self.called = asyncio.Event()
        self.open = asyncio.Event()
        self.failure: Exception | None = None

    async def send(
        self, destination: str, carried: Sequence[Waiting[list[str], str]]
    ) -> Sequence[str]:
        names = [name for waiting in carried for name in waiting.work]
        self.calls.append(names)
        self.called.set()
        self.traces.append(request_context.request_id.get())
        self.left.append(request_context.time_left(60.0))
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure:
            raise self.failure
        return [name.upper() for name in names]


class Asking:
    """Requests through a coalescer, each in a task of its own."""

    def __init__(self, bounds: Bounds, items: int = 100) -> None:
        self.service = Service()
        self.coalescer: Coalescer[str, list[str], str] = Coalescer(
            self.service.send, bounds, Room(items)
        )

    def __call__(
        self,
        *names: str,
        tenant: str = "t",
        model: str = "m",
        alone: bool = False,
        limit: float = 60.0,
        traced: str = "",
        presence: ClientPresence | None = None,
    ) -> "asyncio.Task[Sequence[str]]":
        async def ask() -> Sequence[str]:
            request_context.request_id.set(traced or names[0])
            return await self.coalescer.outcomes(
                model,
                list(names),
                size=len(names),
                tenant=tenant,
                limit=limit,
                traced=bool(traced),
                alone=alone,
                presence=presence or ClientPresence(),
            )

        return asyncio.create_task(ask())

    async def until_sent(self, calls: int) -> None:
        async with asyncio.timeout(20):
            while len(self.service.calls) < calls:
                self.service.called.clear()
                await self.service.called.wait()

    async def settle(self) -> None:
        """Lets everything happen that is due already."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def ask() -> Asking:
    return Asking(BOUNDS)


async def test_idle_system_sends_at_once(ask: Asking) -> None:
    ask.service.open.set()
    assert await ask("a") == ["A"]
    assert await ask("b") == ["B"]
    assert ask.service.calls == [["a"], ["b"]]


async def test_requests_that_come_together_share_the_first_call(ask: Asking) -> None:
    ask.service.open.set()
    answers = await asyncio.gather(ask("a"), ask("b"), ask("c"))
    assert answers == [["A"], ["B"], ["C"]]
    assert ask.service.calls == [["a", "b", "c"]]


async def test_what_comes_while_a_call_is_in_flight_shares_the_next(ask: Asking) -> None:
    first = ask("a")
    await ask.until_sent(1)
    others = [ask("b"), ask("c", "d")]
    await ask.settle()
    assert ask.service.calls == [["a"]]
    ask.service.open.set()
    assert await asyncio.gather(first, *others) == [["A"], ["B"], ["C", "D"]]
    assert ask.service.calls == [["a"], ["b", "c", "d"]]


async def test_full_call_does_not_wait(ask: Asking) -> None:
    tasks = [ask("first")]
    await ask.until_sent(1)
    tasks += [ask(name) for name in "abcde"]
    await ask.until_sent(2)
    await ask.settle()
    assert ask.service.calls == [["first"], list("abcd")]
    ask.service.open.set()
    await asyncio.gather(*tasks)
    assert ask.service.calls[2] == ["e"]


async def test_calls_in_flight_are_bounded(ask: Asking) -> None:
    tasks = [ask(f"{number}") for number in range(40)]
    await ask.until_sent(3)
    await ask.settle()
    assert [len(call) for call in ask.service.calls] == [4, 4, 4]
    ask.service.open.set()
    assert [answer for (answer,) in await asyncio.gather(*tasks)] == [str(n) for n in range(40)]


async def test_models_do_not_share_calls(ask: Asking) -> None:
    ask.service.open.set()
    await asyncio.gather(ask("a", model="one"), ask("b", model="other"))
    assert sorted(ask.service.calls) == [["a"], ["b"]]


async def test_large_request_goes_alone_and_holds_nobody_up(ask: Asking) -> None:
    large = ask(*"abcdefgh", alone=True)
    await ask.until_sent(1)
    small = ask("x")
    await ask.until_sent(2)
    ask.service.open.set()
    assert await small == ["X"]
    assert len(await large) == 8


async def test_tenants_take_turns() -> None:
    ask = Asking(Bounds(calls=1, most_calls=1, items_per_call=4))
    tasks = [ask("first")]
    await ask.until_sent(1)
    tasks += [ask(f"loud{number}", tenant="loud") for number in range(8)]
    tasks += [ask("quiet", tenant="quiet")]
    await ask.settle()
    ask.service.open.set()
    await asyncio.gather(*tasks)
    assert "quiet" in ask.service.calls[1]


async def test_failed_call_fails_each_of_its_requests(ask: Asking) -> None:
    ask.service.failure = Unavailable("Away.")
    ask.service.open.set()
    answers = await asyncio.gather(ask("a"), ask("b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    ask.service.failure = None
    assert await ask("c") == ["C"]


async def test_call_has_the_time_of_whoever_waits_longest(ask: Asking) -> None:
    ask.service.open.set()
    await asyncio.gather(ask("a", limit=5.0), ask("b", limit=20.0))
    assert 15 < ask.service.left[0] <= 20


async def test_call_joins_the_trace_that_is_recorded(ask: Asking) -> None:
    ask.service.open.set()
    await asyncio.gather(ask("a"), ask("b", traced="the traced one"))
    assert ask.service.traces == ["the traced one"]


async def test_deadline_passes_for_one_and_not_for_the_others(ask: Asking) -> None:
    patient, hasty = ask("a"), ask("b", limit=0.01)
    with pytest.raises(DeadlineExceeded) as raised:
        await hasty
    assert not isinstance(raised.value, DeadlineBeforeSending)
    ask.service.open.set()
    assert await patient == ["A"]


async def test_deadline_before_sending_takes_it_out_of_the_queue(ask: Asking) -> None:
    first = ask("a")
    await ask.until_sent(1)
    with pytest.raises(DeadlineBeforeSending):
        await ask("b", limit=0.01)
    ask.service.open.set()
    await first
    await ask.settle()
    assert ask.service.calls == [["a"]]


class Client:
    """Stays until the test has it leave."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def presence(self) -> ClientPresence:
        return ClientPresence(self.receive)


async def test_client_that_leaves_takes_its_item_along(ask: Asking) -> None:
    client = Client()
    first = ask("a")
    await ask.until_sent(1)
    second = ask("b", presence=client.presence)
    await ask.settle()
    client.gone.set()
    with pytest.raises(ClientGoneUnserved):
        await second
    ask.service.open.set()
    await first
    assert ask.service.calls == [["a"]]


async def test_call_is_given_up_when_all_have_left(ask: Asking) -> None:
    clients = [Client(), Client()]
    tasks = [ask("a", presence=clients[0].presence), ask("b", presence=clients[1].presence)]
    await ask.until_sent(1)
    clients[0].gone.set()
    await ask.settle()
    assert not ask.service.cancelled
    clients[1].gone.set()
    for task in tasks:
        with pytest.raises(ClientGone):
            await task
    await ask.settle()
    assert ask.service.cancelled == 1


async def test_more_than_may_be_under_way_is_refused_at_once() -> None:
    ask = Asking(Bounds(calls=1, most_calls=1, items_per_call=4), items=6)
    tasks = [ask("a", "b", "c", tenant="one"), ask("d", "e", tenant="two")]
    await ask.settle()
    started = time.perf_counter()
    with pytest.raises(GatewayFull) as refused:
        await ask("f", "g", tenant="three")
    assert time.perf_counter() - started < 1.0
    assert refused.value.retry_after
    ask.service.open.set()
    await asyncio.gather(*tasks)
    assert await ask("f", "g", tenant="three") == ["F", "G"]


async def test_tenant_may_have_half_of_what_may_be_under_way() -> None:
    ask = Asking(Bounds(calls=1, most_calls=1, items_per_call=4), items=6)
    task = ask("a", "b", "c", tenant="loud")
    await ask.settle()
    with pytest.raises(GatewayFull):
        await ask("d", tenant="loud")
    ask.service.open.set()
    assert await ask("x", tenant="quiet") == ["X"]
    await task


async def test_caller_that_is_cancelled_leaves_nothing_behind(ask: Asking) -> None:
    task = ask("a")
    await ask.until_sent(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ask.settle()
    assert ask.service.cancelled == 1
    ask.service.open.set()
    assert await ask("b") == ["B"]


async def test_an_answered_request_is_let_go_of_at_once(ask: Asking) -> None:
    ask.service.open.set()
    gc.collect()
    gc.disable()
    try:
        await asyncio.gather(ask("a"), ask("b"), ask("c"))
        await ask.settle()
        assert not [each for each in gc.get_objects() if type(each) is Waiting]
    finally:
        gc.enable()
