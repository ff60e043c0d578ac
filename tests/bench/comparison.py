"""One comparison from the first look at the machine to the verdicts."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ceiling import BATCHES, Ceiling
from contestants import Contestant, Weir
from machine_facts import machine_facts
from overload import overload
from peer_process import PEERS, Peer
from peer_schedule import Extent, KindLoads, fitted, planned
from peer_search import START_SECONDS, Found, Search
from peer_servers.text_model import Package, Settings
from progress import Progress
from recovery import recovery, starts
from turns import Turns
from verdicts import FULL, Verdict, verdicts

from testkit.platform import Platform

_CHECKED = 24
_ALIKE = 0.05
"""How far a probability may be from the model's: dynamic int8 depends on what a batch holds."""


@dataclass
class Bench:
    """One run; its parts in the order in which they happen."""

    package: Package
    extent: Extent
    minutes: float
    texts: dict[str, list[str]]
    progress: Progress
    directory: Path

    def __post_init__(self) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self.ceiling = Ceiling(self.package, self.cores)
        self.rows = {kind: self.ceiling.encode(texts) for kind, texts in self.texts.items()}
        self.expected = self.ceiling.answers(self.texts["short"][:_CHECKED])
        self.turns = Turns(self.texts, self.progress)
        self.ceilings: dict[str, dict[str, Any]] = {}
        self.memory: dict[str, dict[str, float]] = {}

    def run(self, platform: Platform) -> tuple[dict[str, Any], list[Verdict]]:
        """Everything; returns what the JSON tells beside measurements, and the verdicts."""
        machine = machine_facts()
        weir = Weir(platform)
        self.check(weir)
        capacities = {kind: self._first_look(kind) for kind in self.extent.kinds}
        search = Search(
            self.package,
            self.cores,
            self.directory / "search",
            self.texts,
            {kind: max(1.0, 60 / capacity) for kind, capacity in capacities.items()},
            self.extent.settings,
        )
        searching = sum(search.planned(peer) for peer in PEERS)
        starting = len(self.extent.kinds) * 2 * START_SECONDS + 60
        loads = fitted(capacities, self.extent, 60 * self.minutes - searching - starting)
        self.progress.plan(searching)
        for kind, its in loads.items():
            self.progress.plan(
                sum(4 * one.rounds * (one.warm_up + one.seconds) for one in its.all())
            )
            self.progress.say(f"{kind}: {planned(its, capacities[kind]) / 60:.1f} min planned")
        found = {peer: search.of(peer, self.progress, self.check) for peer in PEERS}
        for kind in self.extent.kinds:
            self._one_kind(weir, kind, loads[kind], found)
        peak = self.turns.middle("weir", "short", f"closed {FULL}", "rate")
        overloaded = self._overload(weir, found, peak)
        own = starts(weir, platform.endpoints.inference)
        own |= recovery(weir, self.texts["short"])
        facts = {
            "machine": machine,
            "texts": {
                kind: {
                    "texts": len(rows),
                    "mean_tokens": sum(map(len, rows)) / len(rows),
                    "longest_tokens": max(map(len, rows)),
                }
                for kind, rows in self.rows.items()
            },
            "settings": [one.as_row() for one in found.values()],
            "ceilings": self.ceilings,
            "memory_mib": self.memory,
            "overload": overloaded,
            "weir": own,
        }
        judged = verdicts(self.turns.middle, self.extent.kinds, self.ceilings, overloaded, own)
        return facts, judged

    def check(self, contestant: Contestant) -> None:
        """Raises when its answers are not the model's own.

        Raises:
            RuntimeError: they are not.
        """
        texts = self.texts["short"][:_CHECKED]
        label = self.package.labels[-1]
        for given, expected in zip(contestant.ask(texts), self.expected, strict=True):
            if abs(given - expected[label]) > _ALIKE:
                raise RuntimeError(f"{contestant.name} answers {given}, the model {expected}")

    def _first_look(self, kind: str) -> float:
        """Roughly what a server may reach, and the ceiling's first round."""
        rates = {batch: self.ceiling.rate(self.rows[kind], batch, 1.0) for batch in BATCHES}
        self.ceilings[kind] = {"rounds": {batch: [rate] for batch, rate in rates.items()}}
        self.progress.say(
            f"{kind}: ceiling about "
            + ", ".join(f"{rate:.0f}/s in batches of {batch}" for batch, rate in rates.items())
        )
        return 0.7 * max(rates.values())

    def _one_kind(self, weir: Weir, kind: str, loads: KindLoads, found: dict[str, Found]) -> None:
        busy = {peer: one.busy(kind) for peer, one in found.items()}
        alone = {peer: one.alone(kind) for peer, one in found.items()}
        with ExitStack() as stack:
            peers = self._started(stack, busy, f"{kind}-busy")
            contestants = [weir, *peers]
            for number in range(self.extent.rounds):
                self._ceiling_round(kind)
                due = [load for load in (*loads.closed, *loads.batches) if number < load.rounds]
                first = number % len(contestants)
                for one in (*contestants[first:], *contestants[:first]):
                    self.turns.turn(one, due, number)
            rate = self.turns.middle("weir", kind, f"closed {FULL}", "rate")
            self.turns.rounds(contestants, loads.opened, rate)
            self.memory[kind] = {one.name: one.memory_mib() for one in contestants}
            others = {peer: its for peer, its in alone.items() if its != busy[peer]}
            for server in peers:
                if server.name in others:
                    server.stop()
            kept = [server for server in peers if server.name not in others]
            kept += self._started(stack, others, f"{kind}-alone")
            self.turns.rounds([weir, *kept], [loads.alone])
        self._finish_ceiling(kind, loads)

    def _ceiling_round(self, kind: str) -> None:
        rounds = self.ceilings[kind]["rounds"]
        # Only what may win: all sizes were tried before.
        best = sorted(rounds, key=lambda batch: -max(rounds[batch]))[:2]
        for batch in best:
            rounds[batch].append(self.ceiling.rate(self.rows[kind], batch, self.extent.seconds))

    def _finish_ceiling(self, kind: str, loads: KindLoads) -> None:
        its = self.ceilings[kind]
        middles = {batch: median(rates) for batch, rates in its["rounds"].items()}
        batch = max(middles, key=middles.__getitem__)
        rows, seconds = self.rows[kind], loads.alone.seconds
        its |= {
            "rate": middles[batch],
            "batch": batch,
            "alone_ms": self.ceiling.alone_ms(rows, seconds, wide=False),
            "alone_all_cores_ms": self.ceiling.alone_ms(rows, seconds, wide=True),
        }

    def _started(self, stack: ExitStack, settings: dict[str, Settings], name: str) -> list[Peer]:
        """Peers, started together and asleep; the stack stops them."""
        servers = []
        for peer, its in settings.items():
            server = Peer(peer, self.package, its, self.directory / name / peer)
            stack.callback(server.stop)
            servers.append(server)
        for server in servers:
            server.wait_until_ready()
            server.become_quiet()
        for server in servers:
            server.sleep()
        return servers

    def _overload(self, weir: Weir, found: dict[str, Found], peak: float) -> dict[str, Any]:
        most = max(self.extent.concurrencies)
        told: dict[str, Any] = overload(
            weir, self.texts["short"], peak, self.extent.overloads, self.extent.seconds * 2
        )
        self.progress.say(f"overload: {told['goodput']:.0f}/s of {peak:.0f}")
        told["full_p99_ms"] = self.turns.middle("weir", "short", f"closed {FULL}", "p99")
        told["most_clients"] = most
        told["most_p99_ms"] = self.turns.middle("weir", "short", f"closed {most}", "p99")
        told["peers"] = {}
        for peer, one in found.items() if self.extent.peers_overloaded else ():
            with ExitStack() as stack:
                settings = {peer: one.busy("short")}
                (server,) = self._started(stack, settings, f"overload-{peer}")
                server.wake()
                its = overload(server, self.texts["short"], peak, 1, self.extent.seconds * 2)
            told["peers"][peer] = its
            self.progress.say(f"overload: {peer} {its['goodput']:.0f}/s")
        return told
