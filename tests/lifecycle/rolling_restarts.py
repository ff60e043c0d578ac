"""`make rolling-restarts`: replaces every service again and again under load; nothing may fail."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from chaos.books import Books, compare, wait_until_drained
from lifecycle.cluster import REPLICAS, Cluster, running_cluster
from lifecycle.load import Load, under_load

MODELS = Path(__file__).resolve().parents[2] / "deploy" / "models"
_DRAINED_WITHIN = 120.0


@dataclass(frozen=True)
class Rolled:
    """What one service's replacements cost."""

    service: str
    replaced: int
    requests: int
    failed: int
    seconds: float
    longest_stop: float


async def roll(cluster: Cluster, load: Load, service: str, requests: int) -> Rolled:
    """Replaces all replicas of a service until so many requests were made meanwhile."""
    deployment = cluster.deployments[service]
    began, before, failed = time.monotonic(), load.requests, len(load.failures)
    while load.requests - before < requests:
        await deployment.roll()
    if wrong := [code for code in deployment.exit_codes if code != 0]:
        load.broken.append(f"{service} did not stop by itself: {wrong}")
    return Rolled(
        service,
        len(deployment.exit_codes),
        load.requests - before,
        len(load.failures) - failed,
        time.monotonic() - began,
        deployment.longest_stop,
    )


async def prove(requests: int, clients: int, home: Path) -> tuple[list[Rolled], Load, Books]:
    """Each service takes its share of the requests."""
    file = home.with_name(f"{home.name}-ledger.txt")
    async with running_cluster(home, MODELS) as cluster:
        async with under_load(cluster, file, clients=clients) as load:
            share = -(-requests // len(REPLICAS))
            rolled = [await roll(cluster, load, service, share) for service in REPLICAS]
        await asyncio.to_thread(wait_until_drained, cluster.endpoints, _DRAINED_WITHIN)
        books = await asyncio.to_thread(compare, cluster.endpoints, load.ledger)
    return rolled, load, books


def report(rolled: list[Rolled], load: Load, books: Books, console: Console) -> None:
    """Prints it for people."""
    table = Table("service", "replaced", "requests", "failed", "seconds", "longest stop, s")
    for each in rolled:
        table.add_row(
            each.service,
            f"{each.replaced} processes",
            str(each.requests),
            str(each.failed),
            f"{each.seconds:.0f}",
            f"{each.longest_stop:.1f}",
        )
    console.print(table)
    console.print(
        f"{load.requests} requests, {len(load.failures)} failed; {len(load.ledger.acknowledged)} "
        f"predictions answered, {books.rows} rows, {books.unasked} of them unasked; "
        f"{load.early} opinions came before their prediction was written"
    )
    for fault in [*load.failures[:10], *books.complaints]:
        console.print(f"[red]FAILS[/] {fault}", highlight=False)


def main(
    requests: Annotated[int, typer.Option(min=4, help="While services are replaced.")] = 10_000,
    clients: Annotated[int, typer.Option(min=1, help="That predict at the same time.")] = 8,
) -> None:
    """Replace every service under load and compare the books."""
    with tempfile.TemporaryDirectory(prefix="weir-rolling-") as directory:
        rolled, load, books = asyncio.run(prove(requests, clients, Path(directory) / "home"))
    report(rolled, load, books, Console())
    raise typer.Exit(1 if load.failures or books.complaints or books.unasked else 0)


if __name__ == "__main__":
    typer.run(main)
