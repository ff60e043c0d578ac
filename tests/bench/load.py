"""A load generator that costs the machine little: `load.py PLAN.json`, answers with JSON.

It is a process of its own, so that it does not share an interpreter with what it measures, and
writes prepared bytes to kept connections. Closed loop: each of `concurrency` callers asks again as
soon as it was answered. Open loop: requests are due at the moments of a Poisson process of `rate` a
second, whoever still waits; each one's time counts from when it was due, so that a stall of the
server is not hidden by a generator that stalls with it (coordinated omission).
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

_GIVE_UP = 30.0
"""Seconds that the last answers get."""
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1))


@dataclass(frozen=True)
class Plan:
    """What to send, and how."""

    url: str
    bodies: Sequence[str]
    """Sent one after the other, and again from the start."""
    headers: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 64
    """Callers of the closed loop; connections of the open loop."""
    rate: float = 0.0
    """Requests a second of the open loop; 0 takes the closed loop."""
    seconds: float = 10.0
    warm_up: float = 1.0
    """Seconds before those that count."""
    seed: int = 1


@dataclass(frozen=True)
class Result:
    """What came of it. Times are milliseconds."""

    seconds: float
    rate: float
    """Answers of status 200 a second."""
    statuses: dict[str, int]
    """Answers by status; `failed` for connections that broke, `unanswered` for those that still
    waited long after the end."""
    answered_ms: dict[str, float]
    """Of the answers of status 200."""
    refused_ms: dict[str, float]
    """Of the other answers."""
    unsent: int
    """Requests of an open loop that were due and never found a connection."""
    generator_cpu_us: float
    """This generator's own processor time a request, microseconds."""


def measured(plan: Plan) -> Result:
    """Runs the plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-P", __file__, "-"],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=False,
        timeout=plan.warm_up + plan.seconds + 2 * _GIVE_UP,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr[-2000:]}")
    return Result(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """One kept connection with at most one request under way."""

    def __init__(self, done: "Callable[[_Connection, int], None]") -> None:
        self._done = done
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.due = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        self.due, self.busy = due, True
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        keeps = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        self.busy = False
        if not keeps and self.transport is not None:
            self.transport.close()
            self.transport = None
        self._done(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        # Servers close connections that were idle for some seconds.
        self.transport = None
        if self.busy:
            self.busy = False
            self._done(self, 0)


class _Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = _prepared(plan)
        self._next = 0
        self._counts_from = 0.0
        self._ends = 0.0
        self._times: dict[bool, list[float]] = {True: [], False: []}
        self._statuses: Counter[str] = Counter()
        self._idle: list[_Connection] = []
        self._overdue: deque[float] = deque()
        self._under_way = 0
        self._reconnecting: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()

    async def run(self) -> Result:
        plan = self._plan
        for _ in range(plan.concurrency):
            self._idle.append(await self._connected())
        started = time.perf_counter()
        self._counts_from = started + plan.warm_up
        self._ends = self._counts_from + plan.seconds
        if plan.rate:
            await self._open_loop(started)
        else:
            idle, self._idle = self._idle, []
            for connection in idle:
                self._send(connection, time.perf_counter())
            await asyncio.sleep(self._ends - time.perf_counter())
        unsent = len(self._overdue)
        self._overdue.clear()
        if self._under_way:
            self._finished.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), _GIVE_UP)
        if self._under_way:
            self._statuses["unanswered"] = self._under_way
        return self._result(unsent)

    async def _connected(self) -> _Connection:
        parts = urlsplit(self._plan.url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self._answered), parts.hostname or "", parts.port or 80
        )
        return connection

    async def _open_loop(self, due: float) -> None:
        chance = random.Random(self._plan.seed)
        while due < self._ends:
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if (connection := self._open_one()) is not None:
                self._send(connection, due)
            else:
                self._overdue.append(due)
            due += chance.expovariate(self._plan.rate)

    def _open_one(self) -> _Connection | None:
        """The idle connection that was used last; those that the server closed are replaced."""
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                return connection
            self._renew()
        return None

    def _renew(self) -> None:
        task = asyncio.create_task(self._replace())
        self._reconnecting.add(task)
        task.add_done_callback(self._reconnecting.discard)

    def _send(self, connection: _Connection, due: float) -> None:
        self._under_way += 1
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        connection.send(request, due)

    def _answered(self, connection: _Connection, status: int) -> None:
        now = time.perf_counter()
        self._under_way -= 1
        # What was due while it counted counts, however late its answer is.
        counted = connection.due if self._plan.rate else now
        if self._counts_from <= counted < self._ends:
            self._statuses[str(status) if status else "failed"] += 1
            if status:
                self._times[status == 200].append((now - connection.due) * 1e3)
        if connection.transport is None:
            self._renew()
        else:
            self._continue(connection, now)
        if not self._under_way:
            self._finished.set()

    async def _replace(self) -> None:
        while time.perf_counter() < self._ends:
            try:
                self._continue(await self._connected(), time.perf_counter())
                return
            except OSError:
                await asyncio.sleep(0.05)

    def _continue(self, connection: _Connection, now: float) -> None:
        if now >= self._ends:
            return
        if not self._plan.rate:
            self._send(connection, now)
        elif self._overdue:
            self._send(connection, self._overdue.popleft())
        else:
            self._idle.append(connection)

    def _result(self, unsent: int) -> Result:
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        return Result(
            seconds=self._plan.seconds,
            rate=self._statuses["200"] / self._plan.seconds,
            statuses=dict(self._statuses),
            answered_ms=_quantiles(self._times[True]),
            refused_ms=_quantiles(self._times[False]),
            unsent=unsent,
            generator_cpu_us=(cpu.ru_utime + cpu.ru_stime) * 1e6 / max(1, self._next),
        )


def _prepared(plan: Plan) -> list[bytes]:
    parts = urlsplit(plan.url)
    headers = {"host": parts.netloc, "content-type": "application/json", **plan.headers}
    head = f"POST {parts.path or '/'} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    return [
        f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        for body in (text.encode() for text in plan.bodies)
    ]


def _quantiles(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    times.sort()
    last = len(times) - 1
    found = {name: round(times[round(share * last)], 3) for name, share in _QUANTILES}
    return found | {"mean": round(sum(times) / len(times), 3)}


def main() -> None:
    """Reads the plan from the file of that name, or from stdin for `-`."""
    source = sys.argv[1]
    if source == "-":
        content: dict[str, Any] = json.load(sys.stdin)
    else:
        with open(source, encoding="utf-8") as file:
            content = json.load(file)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_Generator(Plan(**content)).run())
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
