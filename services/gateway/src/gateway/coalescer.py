"""Requests that wait for the same model share one call while others are in flight.

No timer holds anything back: an idle lane sends at once, a full call at once as well, and only what
would make yet another small call waits until one of those in flight is answered. A call costs about
as much as a quarter of a short text's model run, whatever it carries.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import prometheus_client

from gateway.client_presence import ClientPresence
from gateway.errors import ClientGone, ClientGoneUnserved, DeadlineBeforeSending
from gateway.room import Room
from servicekit import request_context
from servicekit.errors import DeadlineExceeded

ITEMS = prometheus_client.Histogram(
    "weir_gateway_items_per_call",
    "Items that one call to inference carried.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
DestinationT = TypeVar("DestinationT", bound=Hashable)
WorkT = TypeVar("WorkT")
OutcomeT = TypeVar("OutcomeT")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be under way."""

    calls: int
    """In flight for one model before further requests wait to share the next; full ones go."""
    most_calls: int
    """In flight for one model, full ones too."""
    items_per_call: int
    """More come in one call only when a single request has more."""


@dataclass(slots=True, eq=False)
class Waiting(Generic[WorkT, OutcomeT]):
    """One request until it is answered."""

    work: WorkT
    size: int
    """Items."""
    tenant: str
    deadline: float
    """By time.monotonic."""
    traced: bool
    """Whether its trace is recorded; the call then joins that trace."""
    answered: "asyncio.Future[Sequence[OutcomeT]]"
    context: Context = field(default_factory=copy_context)
    call: "_Call[WorkT, OutcomeT] | None" = None


@dataclass(slots=True, eq=False)
class _Call(Generic[WorkT, OutcomeT]):
    carried: "list[Waiting[WorkT, OutcomeT]]"
    awaited: int
    """Requests that still wait for it."""
    task: "asyncio.Task[None] | None" = None


_Send = Callable[[DestinationT, Sequence[Waiting[WorkT, OutcomeT]]], Awaitable[Sequence[OutcomeT]]]


class _Lane(Generic[WorkT, OutcomeT]):
    """What waits for one model: first come, first served within a tenant, tenants take turns."""

    def __init__(self) -> None:
        self.waiting: OrderedDict[str, deque[Waiting[WorkT, OutcomeT]]] = OrderedDict()
        self.items = 0
        self.in_flight = 0
        self.due = False

    def add(self, waiting: Waiting[WorkT, OutcomeT]) -> None:
        self.waiting.setdefault(waiting.tenant, deque()).append(waiting)
        self.items += waiting.size

    def remove(self, waiting: Waiting[WorkT, OutcomeT]) -> None:
        queue = self.waiting[waiting.tenant]
        queue.remove(waiting)
        if not queue:
            del self.waiting[waiting.tenant]
        self.items -= waiting.size

    def take(self, most: int) -> list[Waiting[WorkT, OutcomeT]]:
        taken: list[Waiting[WorkT, OutcomeT]] = []
        room = most
        while self.waiting:
            tenant, queue = next(iter(self.waiting.items()))
            if taken and queue[0].size > room:
                break
            taken.append(queue.popleft())
            room -= taken[-1].size
            if queue:
                self.waiting.move_to_end(tenant)
            else:
                del self.waiting[tenant]
        self.items -= most - room
        return taken


class Coalescer(Generic[DestinationT, WorkT, OutcomeT]):
    """Sends work in shared calls.

    Args:
        send: makes one call with what several requests want; gives their items' outcomes one after
            the other. It runs with the deadline of whoever waits longest.
    """

    def __init__(
        self,
        send: "_Send[DestinationT, WorkT, OutcomeT]",
        bounds: Bounds,
        room: Room,
    ) -> None:
        self._send = send
        self._bounds = bounds
        self._room = room
        self._lanes: dict[DestinationT, _Lane[WorkT, OutcomeT]] = {}

    async def outcomes(
        self,
        destination: DestinationT,
        work: WorkT,
        *,
        size: int,
        tenant: str,
        limit: float,
        traced: bool,
        alone: bool,
        presence: ClientPresence,
    ) -> Sequence[OutcomeT]:
        """The outcomes of one request's items.

        Args:
            limit: seconds that the request waits at most; its own deadline shortens them.
            alone: sends it in a call of its own at once: it is large enough to be worth one, and
                small ones do not wait for its answer.

        Raises:
            GatewayFull: too much is under way.
            DeadlineExceeded: the request's time is up.
            ClientGone: nobody waits for the answer any more.
            Exception: what `send` raised.
        """
        self._room.claim(tenant, size)
        loop = asyncio.get_running_loop()
        left = request_context.time_left(limit)
        waiting: Waiting[WorkT, OutcomeT] = Waiting(
            work, size, tenant, time.monotonic() + left, traced, loop.create_future()
        )
        lane = self._lanes.get(destination)
        if lane is None:
            lane = self._lanes[destination] = _Lane()
        if alone:
            self._start(destination, lane, [waiting])
        else:
            lane.add(waiting)
            self._wake(destination, lane)
        expiry = loop.call_later(left, _expire, waiting)
        try:
            with presence.watched(lambda: _abandon(waiting)):
                return await waiting.answered
        finally:
            expiry.cancel()
            self._room.release(tenant, size)
            if waiting.call is None:
                lane.remove(waiting)
            else:
                _leave(waiting.call)
                # Each holds the other: with all that the request was, they would stay for as long
                # as nobody looks for such cycles.
                waiting.call = None
            self._forget_idle(destination, lane)

    def _wake(self, destination: DestinationT, lane: _Lane[WorkT, OutcomeT]) -> None:
        """Looks at the lane when everything that is readable now has been read."""
        if not lane.due:
            lane.due = True
            asyncio.get_running_loop().call_soon(self._dispatch, destination, lane)

    def _dispatch(self, destination: DestinationT, lane: _Lane[WorkT, OutcomeT]) -> None:
        lane.due = False
        bounds = self._bounds
        while lane.waiting and (
            lane.in_flight < bounds.calls
            or (lane.items >= bounds.items_per_call and lane.in_flight < bounds.most_calls)
        ):
            self._start(destination, lane, lane.take(bounds.items_per_call), counted=True)

    def _start(
        self,
        destination: DestinationT,
        lane: _Lane[WorkT, OutcomeT],
        carried: list[Waiting[WorkT, OutcomeT]],
        *,
        counted: bool = False,
    ) -> None:
        call = _Call(carried, len(carried))
        for waiting in carried:
            waiting.call = call
        lane.in_flight += counted
        leader = next((waiting for waiting in carried if waiting.traced), carried[0])
        call.task = asyncio.create_task(self._run(destination, call), context=leader.context)
        call.task.add_done_callback(lambda _: self._ended(destination, lane, counted))

    async def _run(self, destination: DestinationT, call: _Call[WorkT, OutcomeT]) -> None:
        carried = call.carried
        request_context.deadline.set(max(waiting.deadline for waiting in carried))
        ITEMS.observe(sum(waiting.size for waiting in carried))
        try:
            outcomes = await self._send(destination, carried)
        except Exception as error:
            for waiting in carried:
                if not waiting.answered.done():
                    waiting.answered.set_exception(error)
            return
        start = 0
        for waiting in carried:
            if not waiting.answered.done():
                waiting.answered.set_result(outcomes[start : start + waiting.size])
            start += waiting.size

    def _ended(
        self, destination: DestinationT, lane: _Lane[WorkT, OutcomeT], counted: bool
    ) -> None:
        lane.in_flight -= counted
        if lane.waiting:
            self._wake(destination, lane)
        self._forget_idle(destination, lane)

    def _forget_idle(self, destination: DestinationT, lane: _Lane[WorkT, OutcomeT]) -> None:
        if not lane.waiting and not lane.in_flight and self._lanes.get(destination) is lane:
            del self._lanes[destination]


def _expire(waiting: Waiting[Any, Any]) -> None:
    if waiting.answered.done():
        return
    kind = DeadlineBeforeSending if waiting.call is None else DeadlineExceeded
    waiting.answered.set_exception(
        kind("inference did not answer in time.", reason="INFERENCE_DEADLINE_EXCEEDED")
    )


def _abandon(waiting: Waiting[Any, Any]) -> None:
    if not waiting.answered.done():
        kind = ClientGoneUnserved if waiting.call is None else ClientGone
        waiting.answered.set_exception(kind("The client went away."))


def _leave(call: _Call[Any, Any]) -> None:
    call.awaited -= 1
    if not call.awaited and call.task is not None:
        # Done already when it was answered.
        call.task.cancel()
