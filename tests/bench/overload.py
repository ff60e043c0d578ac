"""Three times as many requests as a server can answer."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import psutil
from contestants import Contestant, Weir
from load import Result, measured

FACTOR = 3.0
_CONNECTIONS = 2000
"""Of clients that do not wait for each other; a server that refuses frees them at once. Fewer than
Weir takes at all (2048): what it refuses beyond are connections, and comes unasked."""


def overload(
    contestant: Contestant, texts: Sequence[str], peak: float, rounds: int, seconds: float
) -> dict[str, Any]:
    """What it still answers, how soon it refuses the rest, and what that costs in memory.

    Args:
        peak: texts a second that it is offered three times of.
    """
    results: list[Result] = []
    before = 0.0
    for number in range(rounds + 1):
        plan = replace(
            contestant.single(texts),
            concurrency=_CONNECTIONS,
            rate=max(1.0, FACTOR * peak),
            seconds=seconds,
            warm_up=1.0,
            seed=number + 1,
        )
        result = measured(plan)
        contestant.become_quiet()
        # The first one fills what is filled once: connections, queues, pools.
        if number:
            results.append(result)
        else:
            before = _memory(contestant)
    return {
        "offered": FACTOR * peak,
        "peak": peak,
        "goodput": median(one.rate for one in results),
        "refused_p50_ms": _middle(results, "refused_ms", "p50"),
        "refused_p99_ms": _middle(results, "refused_ms", "p99"),
        "admitted_p99_ms": _middle(results, "answered_ms", "p99"),
        "mib_before": before,
        "mib_after": _memory(contestant),
        "rounds": [asdict(one) for one in results],
    }


def _middle(results: Sequence[Result], which: str, what: str) -> float:
    found = [getattr(one, which)[what] for one in results if getattr(one, which)]
    return median(found) if found else float("nan")


def _memory(contestant: Contestant) -> float:
    """MiB of the processes on the request's way."""
    if isinstance(contestant, Weir):
        pids = [contestant.pid(name) for name in ("gateway", "inference")]
        return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20
    return contestant.memory_mib()
