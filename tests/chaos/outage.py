"""PostgreSQL goes away under traffic, stopped and frozen: predictions neither fail nor slow down.

    python -m chaos.outage --seconds 60 --pairs 2      (part of `make chaos`)

Traffic runs on while PostgreSQL is there for one window and away for the next, again and again;
each window away is compared with the one before it, so that what else happens on the machine weighs
on both. After each, the log must drain by itself; those seconds belong to no window.
"""

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Literal

import psutil
import typer
from rich.console import Console

from chaos.books import Books, compare, judge_refusals, wait_until_drained, wait_until_written
from chaos.clients import Client, Ledger
from chaos.ledger import MODELS
from testkit.platform import Platform, running_platform

Way = Literal["stopped", "frozen"]
WAYS: tuple[Way, ...] = ("stopped", "frozen")
DRAINED_WITHIN = 60.0
SLOWER = 1.10
"""Times the p99 of before that it may be during an outage."""
_PAUSE = 0.03
_SETTLE = 2.0
"""Seconds that belong to no window, after PostgreSQL went or came."""


@dataclass(frozen=True, slots=True)
class Window:
    """What clients saw while PostgreSQL was there, or away."""

    away: bool
    milliseconds: list[float]

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return quantiles(self.milliseconds, n=100)[98]


@dataclass(slots=True)
class Outcome:
    """What became of one way of being away."""

    way: Way
    windows: list[Window] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)
    """Seconds from PostgreSQL's return until everything was written, per outage."""
    books: Books = field(default_factory=Books)

    def p99(self, *, away: bool) -> float:
        """Milliseconds, over all windows of a kind."""
        together = [
            ms for window in self.windows if window.away is away for ms in window.milliseconds
        ]
        return Window(away, together).p99

    @property
    def slowdown(self) -> float:
        """The p99 with PostgreSQL away, as a multiple of the one with it there."""
        return self.p99(away=True) / self.p99(away=False)

    def report(self, console: Console) -> None:
        """Prints it for people."""
        pairs = ", ".join(
            f"{before.p99:.1f} → {during.p99:.1f}"
            for before, during in zip(self.windows[::2], self.windows[1::2], strict=True)
        )
        requests = sum(len(window.milliseconds) for window in self.windows)
        console.print(
            f"PostgreSQL {self.way}: {requests} requests; p99 {self.p99(away=False):.1f} ms with "
            f"it, {self.p99(away=True):.1f} ms without ({(self.slowdown - 1) * 100:+.0f} %; "
            f"pairs: {pairs}); drained after {max(self.drained):.1f} s; {self.books.rows} rows"
        )
        for complaint in self.books.complaints:
            console.print(f"[red]FAILS[/] {complaint}", highlight=False)


def outage(
    platform: Platform, way: Way, ledger: Ledger, *, seconds: float, pairs: int, clients: int
) -> Outcome:
    """Takes PostgreSQL away `pairs` times for `seconds` each.

    Raises:
        TimeoutError: the log did not drain after PostgreSQL came back.
    """
    outcome = Outcome(way)
    asyncio.run(_windows(platform, ledger, outcome, seconds=seconds, pairs=pairs, clients=clients))
    platform.wait_until_health("healthy")
    wait_until_drained(platform.endpoints, DRAINED_WITHIN)
    outcome.books = compare(platform.endpoints, ledger)
    judge_refusals(outcome.books, ledger, [])
    outcome.books.complain("requests failed", ledger.reasons().items())
    return outcome


async def _windows(
    platform: Platform,
    ledger: Ledger,
    outcome: Outcome,
    *,
    seconds: float,
    pairs: int,
    clients: int,
) -> None:
    async with _traffic(platform, ledger, outcome.way, clients):
        for _ in range(pairs):
            outcome.windows.append(await _window(ledger, seconds, away=False))
            bring_back = await _take_away(platform, outcome.way)
            try:
                await asyncio.sleep(_SETTLE)
                outcome.windows.append(await _window(ledger, seconds, away=True))
            finally:
                bring_back()
            waiting = set(ledger.acknowledged)
            outcome.drained.append(
                await asyncio.to_thread(
                    wait_until_written, platform.endpoints, waiting, DRAINED_WITHIN
                )
            )


@asynccontextmanager
async def _traffic(
    platform: Platform, ledger: Ledger, way: Way, clients: int
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            client = Client(
                f"client {number} ({way})",
                platform.endpoints.http,
                platform.client_credentials(),
                ledger,
                seed=1,
                pause=_PAUSE,
                batches=0.0,
                opinions=0.0,
            )
            group.create_task(client.run(stop))
        try:
            await asyncio.sleep(_SETTLE)
            yield
        finally:
            stop.set()


async def _window(ledger: Ledger, seconds: float, *, away: bool) -> Window:
    first = len(ledger.answers)
    await asyncio.sleep(seconds)
    return Window(away, [(ended - began) * 1e3 for began, ended in ledger.answers[first:]])


async def _take_away(platform: Platform, way: Way) -> Callable[[], None]:
    """Returns what brings PostgreSQL back; to be called from the main thread."""
    postgres = platform.process("postgres")
    if way == "stopped":
        await asyncio.to_thread(postgres.stop)
        # A process ends with the thread that started it.
        return postgres.start
    if postgres.pid is None:
        raise RuntimeError("PostgreSQL does not run")
    # The postmaster first: it starts no more sessions then.
    master = psutil.Process(postgres.pid)
    master.send_signal(signal.SIGSTOP)
    everyone = [master, *master.children(recursive=True)]
    for process in everyone[1:]:
        process.send_signal(signal.SIGSTOP)

    def thaw() -> None:
        for process in everyone:
            process.send_signal(signal.SIGCONT)

    return thaw


def main(
    seconds: Annotated[float, typer.Option(help="Length of each window, seconds.")] = 60.0,
    pairs: Annotated[int, typer.Option(min=1, help="Windows with and without PostgreSQL.")] = 2,
    clients: Annotated[int, typer.Option(min=1, help="Clients at the same time.")] = 4,
) -> None:
    """Take PostgreSQL away under traffic; fails if anything was refused, lost or slowed down."""
    console = Console()
    kept = True
    with (
        tempfile.TemporaryDirectory(prefix="weir-outage-") as directory,
        running_platform(Path(directory) / "home", MODELS) as platform,
    ):
        ledger = Ledger(Path(directory) / "ledger.txt")
        for way in WAYS:
            outcome = outage(platform, way, ledger, seconds=seconds, pairs=pairs, clients=clients)
            outcome.report(console)
            kept &= not outcome.books.complaints and outcome.slowdown <= SLOWER
    raise typer.Exit(0 if kept else 1)


if __name__ == "__main__":
    sys.exit(typer.run(main))
