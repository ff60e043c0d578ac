"""Rounds in which the servers take turns, so that a machine's mood hits all of them alike."""

import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from contestants import Contestant
from load import Plan, Result, measured
from progress import Progress

BATCH = 256
"""Texts of a request to the batch endpoint."""
_CONNECTIONS = 512
"""Of an open loop: more than any server that keeps up has under way."""


@dataclass(frozen=True)
class Load:
    """One way to put load on a server."""

    kind: str
    concurrency: int = 0
    """Callers of a closed loop; 0 is an open one."""
    share: float = 0.0
    """Of Weir's own throughput at a concurrency of 64, for an open loop."""
    batch: int = 1
    """Texts of a request."""
    rounds: int = 5
    warm_up: float = 0.5
    seconds: float = 2.0

    @property
    def name(self) -> str:
        """What the results call it."""
        if self.share:
            return f"open {self.share:g}"
        return f"batch {self.concurrency}" if self.batch > 1 else f"closed {self.concurrency}"


class Turns:
    """Has contestants take turns and keeps what came of it."""

    def __init__(self, texts: Mapping[str, Sequence[str]], progress: Progress) -> None:
        self._texts = texts
        self._progress = progress
        self.results: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
        """By contestant, kind of texts and name of the load."""

    def rounds(
        self, contestants: Sequence[Contestant], loads: Sequence[Load], rate: float = 0.0
    ) -> None:
        """Every contestant under every load, in an order that moves on each round.

        Args:
            rate: requests a second that the shares of open loops are shares of.
        """
        for number in range(max((load.rounds for load in loads), default=0)):
            first = number % len(contestants)
            for contestant in [*contestants[first:], *contestants[:first]]:
                due = [load for load in loads if number < load.rounds]
                self.turn(contestant, due, number, rate)

    def turn(
        self, contestant: Contestant, loads: Sequence[Load], number: int, rate: float = 0.0
    ) -> None:
        """One contestant awake, the others asleep."""
        contestant.wake()
        try:
            for load in loads:
                result = self._measured(contestant, load, number, rate)
                self.results[contestant.name, load.kind, load.name].append(result)
                self._progress.step(
                    f"{load.kind:<6}{load.name:<11}{contestant.name:<10}{_told(result, load)}",
                    load.warm_up + load.seconds,
                )
            contestant.become_quiet()
        finally:
            contestant.sleep()

    def middle(self, contestant: str, kind: str, load: str, what: str) -> float:
        """The median over the rounds of `rate` (texts a second) or a quantile (milliseconds).

        NaN where nothing was measured or answered.
        """
        found = [_number(result, what) for result in self.results.get((contestant, kind, load), [])]
        return median(found) if found else float("nan")

    def as_rows(self) -> list[dict[str, Any]]:
        """All results, for JSON."""
        return [
            {
                "contestant": contestant,
                "texts": kind,
                "load": load,
                "rounds": [asdict(result) for result in results],
            }
            for (contestant, kind, load), results in self.results.items()
        ]

    def _measured(self, contestant: Contestant, load: Load, number: int, rate: float) -> Result:
        plan = self._plan(contestant, load, number)
        plan = replace(
            plan,
            concurrency=load.concurrency or _CONNECTIONS,
            # Not 0, which would be a closed loop: a server that answered nothing is asked seldom.
            rate=max(1.0, rate * load.share) if load.share else 0.0,
            seconds=load.seconds,
            warm_up=load.warm_up,
            seed=number + 1,
        )
        try:
            result = measured(plan)
        except subprocess.SubprocessError as error:
            # A server that breaks down is a result, too.
            told = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
            self._progress.say(f"{contestant.name}, {load.kind}, {load.name}: {told}")
            return Result(load.seconds, 0.0, {"broke": 1}, {}, {}, 0, 0.0)
        return _in_texts(result, load)

    def _plan(self, contestant: Contestant, load: Load, number: int) -> Plan:
        texts = self._texts[load.kind]
        # Each round begins elsewhere; all contestants of a round begin at the same text.
        start = number * len(texts) // max(1, load.rounds)
        texts = [*texts[start:], *texts[:start]]
        if load.batch == 1:
            return contestant.single(texts)
        # Repeated, where there are fewer than two batches.
        texts = (texts * (1 + 2 * load.batch // len(texts)))[: 2 * load.batch]
        return contestant.batches([texts[: load.batch], texts[load.batch :]])


def _in_texts(result: Result, load: Load) -> Result:
    """Few batches end in a window: their number a second follows from their mean time."""
    if load.batch == 1 or "mean" not in result.answered_ms:
        return result
    calls = load.concurrency / (result.answered_ms["mean"] / 1e3)
    return replace(result, rate=calls * load.batch)


def _number(result: Result, what: str) -> float:
    if what == "rate":
        return result.rate
    return result.answered_ms.get(what, float("nan"))


def _told(result: Result, load: Load) -> str:
    times = result.answered_ms
    told = f"{result.rate:7.1f} texts/s"
    if times:
        told += f"   p50 {times['p50']:7.1f}   p99 {times['p99']:8.1f} ms"
    others = {status: count for status, count in result.statuses.items() if status != "200"}
    return (
        told
        + (f"   {others}" if others else "")
        + (f"   {result.unsent} unsent" if result.unsent else "")
    )
