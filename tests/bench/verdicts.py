"""Which of the bars are met. Each is a number, a bound and a sentence."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from peer_process import PEERS

FULL = 64
"""The concurrency that throughput is compared at."""
_MIDDLE = Callable[[str, str, str, str], float]
"""`Turns.middle`: contestant, kind, load, what."""


@dataclass(frozen=True)
class Verdict:
    """One bar."""

    what: str
    measured: float
    bound: float
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        """NaN, where nothing was measured, meets nothing."""
        if self.at_most:
            return self.measured <= self.bound
        return self.measured >= self.bound

    def line(self) -> str:
        """For people."""
        sign = "≤" if self.at_most else "≥"
        told = f"{self.what}: {self.measured:.2f} ({sign} {self.bound:.2f})"
        return f"{'met   ' if self.met else 'MISSED'} {told}" + (f"; {self.note}" * bool(self.note))


@dataclass(frozen=True)
class Bar:
    """Least throughput at full concurrency."""

    of_peer: float | None
    of_ceiling: float


BARS: Mapping[str, Bar] = {
    "short": Bar(1.6, 0.8),
    "mix": Bar(1.3, 0.9),
    "long": Bar(None, 0.95),
}


def verdicts(
    middle: _MIDDLE,
    kinds: Sequence[str],
    ceilings: Mapping[str, Mapping[str, Any]],
    overload: Mapping[str, Any],
    weir: Mapping[str, Any],
) -> list[Verdict]:
    """All that this run can say.

    Args:
        ceilings: by kind: `rate`, `alone_ms` (one core) and `alone_all_cores_ms`.
        overload: what `overload.py` found.
        weir: what `recovery.py` found.
    """
    return [
        *(one for kind in kinds for one in _throughput(middle, kind, ceilings[kind]["rate"])),
        *_batches(middle, ceilings),
        *(one for kind in kinds for one in _latency(middle, kind, ceilings[kind])),
        *_overload(overload),
        Verdict("cold start of inference, s", weir["cold_start_seconds"], 1.5, at_most=True),
        _recovery(weir),
        Verdict("memory of inference, MiB", weir["inference_mib"], 250, at_most=True),
        Verdict("memory of the gateway, MiB", weir["gateway_mib"], 120, at_most=True),
    ]


def best_peer(
    middle: _MIDDLE, kind: str, load: str, what: str, *, least: bool
) -> tuple[float, str]:
    """The peers' best number and whose it is; NaN and nobody where none has one."""
    found = [(middle(peer, kind, load, what), peer) for peer in PEERS]
    found = [one for one in found if not math.isnan(one[0])]
    return (min(found) if least else max(found)) if found else (float("nan"), "")


def _throughput(middle: _MIDDLE, kind: str, ceiling: float) -> Iterator[Verdict]:
    own = middle("weir", kind, f"closed {FULL}", "rate")
    bar = BARS[kind]
    rate, peer = best_peer(middle, kind, f"closed {FULL}", "rate", least=False)
    if bar.of_peer is not None:
        note = f"{own:.0f} against {rate:.0f} texts/s of {peer}"
        yield Verdict(f"{kind}: throughput / best peer", _ratio(own, rate), bar.of_peer, note=note)
    note = f"{own:.0f} of {ceiling:.0f} texts/s"
    yield Verdict(f"{kind}: throughput / ceiling", _ratio(own, ceiling), bar.of_ceiling, note=note)


def _batches(middle: _MIDDLE, ceilings: Mapping[str, Mapping[str, Any]]) -> Iterator[Verdict]:
    ceiling = ceilings["short"]["rate"]
    own = middle("weir", "short", "batch 2", "rate")
    one = middle("weir", "short", "batch 1", "rate")
    note = f"two requests at a time; {_ratio(one, ceiling):.2f} with one"
    yield Verdict("short: batches of 256 / ceiling", _ratio(own, ceiling), 0.95, note=note)


def _latency(middle: _MIDDLE, kind: str, ceiling: Mapping[str, Any]) -> Iterator[Verdict]:
    own = middle("weir", kind, "open 0.8", "p99")
    p99, peer = best_peer(middle, kind, "open 0.8", "p99", least=True)
    yield Verdict(
        f"{kind}: p99 at 80 % of Weir's capacity, ms", own, p99, at_most=True, note=f"{peer}'s"
    )
    if kind == "mix":
        return  # half of its texts are ten times as long as the others: its median says nothing
    own = middle("weir", kind, "closed 1", "p50")
    raw = ceiling["alone_ms"]
    note = f"the model's {raw:.2f} on one core ({ceiling['alone_all_cores_ms']:.2f} on all), and 2"
    yield Verdict(f"{kind}: p50 of one client alone, ms", own, raw + 2, at_most=True, note=note)
    p50, peer = best_peer(middle, kind, "closed 1", "p50", least=True)
    what = f"{kind}: p50 of one client alone, ms"
    yield Verdict(what, own, p50, at_most=True, note=f"{peer}'s")


def _overload(found: Mapping[str, Any]) -> Iterator[Verdict]:
    yield Verdict(
        "3× overload: goodput / peak",
        _ratio(found["goodput"], found["peak"]),
        0.9,
        note=f"{found['goodput']:.0f} of {found['peak']:.0f} texts/s",
    )
    refused = not math.isnan(found["refused_p99_ms"])
    note = f"median {found['refused_p50_ms']:.1f}" if refused else "nothing was refused"
    yield Verdict(
        "3× overload: p99 of refusals, ms", found["refused_p99_ms"], 10, at_most=True, note=note
    )
    full, most = found["full_p99_ms"], found["most_p99_ms"]
    note = f"{found['admitted_p99_ms']:.0f} ms; p99 is {full:.0f} at {FULL} clients, {most:.0f} at "
    note += f"{found['most_clients']}"
    yield Verdict(
        "3× overload: p99 of answers / at full load",
        _ratio(found["admitted_p99_ms"], full),
        2,
        at_most=True,
        note=note,
    )
    note = f"{found['mib_before']:.0f} to {found['mib_after']:.0f} MiB of gateway and inference"
    yield Verdict(
        "3× overload: growth of memory",
        _ratio(found["mib_after"], found["mib_before"]),
        1.1,
        at_most=True,
        note=note,
    )


def _recovery(found: Mapping[str, Any]) -> Verdict:
    statuses = ", ".join(f"{count} × {name}" for name, count in found["recovery_statuses"].items())
    return Verdict(
        "inference killed under load: first answer after, s",
        found["recovery_seconds"],
        3,
        at_most=True,
        note=statuses,
    )


def _ratio(measured: float, of: float) -> float:
    return measured / of if of else float("nan")
