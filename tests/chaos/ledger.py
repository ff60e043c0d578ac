"""Nothing acknowledged is ever lost: clients keep a ledger while processes are killed at random.

    make chaos ARGS="--kills 20 --seconds 120 --seed 7"

It starts a platform of its own as `make run` does. Clients write down the id and the text's SHA-256
of every prediction that they were answered with; gateway, inference, the events Redis, the log and
PostgreSQL are killed (SIGKILL) at random, sometimes two at once, and started again by the
platform's supervisor. At the end the platform must be whole by itself, and the log's table hold
exactly what the ledger says. The seed decides texts, victims and moments; what a kill interrupts
depends on the machine.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chaos.books import Books, answered_again, compare, judge_refusals, wait_until_drained
from chaos.clients import Client, Ledger
from chaos.monkey import VICTIMS, Kill, Monkey, plan_kills
from testkit.supervised import SupervisedPlatform, supervised_platform

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
DRAINED_WITHIN = 60.0
_CALM = 2.0
"""Seconds of traffic before the first kill and after the last."""
_PAUSE = 0.03
_SLOW_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How hard to try."""

    kills: int = 100
    seconds: float = 600.0
    seed: int = 1
    clients: int = 6
    victims: tuple[str, ...] = VICTIMS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    options: Options
    ledger: Ledger
    kills: Sequence[Kill]
    books: Books
    seconds: float
    drained: float

    def report(self, console: Console) -> None:
        """Prints it for people."""
        ledger, books = self.ledger, self.books
        console.print(
            f"seed {self.options.seed}: {len(self.kills)} kills in {self.seconds:.0f} s, "
            f"{self.options.clients} clients"
        )
        console.print(self._recoveries())
        console.print(
            f"{len(ledger.answers)} requests were answered with {len(ledger.acknowledged)} "
            f"predictions, {len(ledger.feedback)} with feedback; {len(ledger.refusals)} failed:"
        )
        for reason, count in ledger.reasons().most_common():
            console.print(f"  {count:>6}  {reason}")
        console.print(
            f"{books.rows} rows, {books.unasked} of them for answers that a kill kept from their "
            f"client; drained {self.drained:.1f} s after the last request"
        )
        for complaint in books.complaints:
            console.print(f"[red]FAILS[/] {complaint}", highlight=False)
        if not books.complaints:
            console.print("[green]holds[/] nothing lost, nothing twice, every hash the same")

    def _recoveries(self) -> Table:
        table = Table("killed", "times", "process ready", "all healthy", "answered again")
        for victim, times in sorted(Counter(kill.victim for kill in self.kills).items()):
            kills = [kill for kill in self.kills if kill.victim == victim]
            table.add_row(
                victim,
                str(times),
                _spread([kill.ready_at - kill.at for kill in kills]),
                _spread([kill.healthy_at - kill.at for kill in kills]),
                _spread([s for kill in kills if (s := answered_again(self.ledger, kill))]),
            )
        table.caption = "seconds after the kill, median / worst"
        return table


def prove(options: Options, home: Path) -> Outcome:
    """Runs it with a platform in `home`, where ledger and logs stay.

    Raises:
        TimeoutError: the platform did not come back, or did not drain.
    """
    ledger = Ledger(home.with_name(f"{home.name}-ledger.txt"))
    with supervised_platform(home, MODELS) as platform:
        began = time.monotonic()
        kills = asyncio.run(_traffic_and_kills(platform, ledger, options))
        seconds = time.monotonic() - began
        platform.wait_until_healthy()
        drained = wait_until_drained(platform.endpoints, DRAINED_WITHIN)
        books = compare(platform.endpoints, ledger)
        judge_refusals(books, ledger, kills)
    return Outcome(options, ledger, kills, books, seconds, drained)


async def _traffic_and_kills(
    platform: SupervisedPlatform, ledger: Ledger, options: Options
) -> list[Kill]:
    stop = asyncio.Event()
    plans = plan_kills(options.seed, options.kills, options.seconds - 2 * _CALM, options.victims)
    monkey = Monkey(platform)
    async with asyncio.TaskGroup() as group:
        for number in range(options.clients):
            client = Client(
                f"client {number}",
                platform.address,
                platform.credentials(),
                ledger,
                seed=options.seed,
                pause=_PAUSE,
            )
            group.create_task(client.run(stop))
        await asyncio.sleep(_CALM)
        await monkey.run(plans)
        await asyncio.sleep(_CALM)
        stop.set()
    return monkey.kills


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    return f"{median(seconds):.{_SLOW_DIGITS}f} / {max(seconds):.{_SLOW_DIGITS}f}"


def main(
    kills: Annotated[int, typer.Option(min=1, help="How many processes to kill.")] = 100,
    seconds: Annotated[float, typer.Option(help="Over how long a time, seconds.")] = 600.0,
    seed: Annotated[int, typer.Option(help="Decides texts, victims and moments.")] = 1,
    clients: Annotated[int, typer.Option(min=1, help="Clients at the same time.")] = 6,
    victim: Annotated[
        list[str] | None, typer.Option(help=f"Kill only this; again for more. {VICTIMS}")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where state, logs and ledger stay; a new directory.")
    ] = None,
) -> None:
    """Kill processes at random under traffic and compare the books."""
    options = Options(kills, seconds, seed, clients, tuple(victim or VICTIMS))
    with tempfile.TemporaryDirectory(prefix="weir-chaos-") as directory:
        outcome = prove(options, (home or Path(directory) / "home").absolute())
    outcome.report(Console())
    raise typer.Exit(1 if outcome.books.complaints else 0)


if __name__ == "__main__":
    sys.exit(typer.run(main))
