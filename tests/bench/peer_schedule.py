"""Which loads are measured how often and for how long, so that all fits into the time there is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from peer_process import PEERS
from turns import BATCH, Load
from verdicts import FULL

_CONTESTANTS = 1 + len(PEERS)
_OVERHEAD = 0.6
"""Seconds of a measurement beside its windows: starting the generator, becoming quiet."""
_SHORTEST, _LONGEST = 0.4, 1.5
"""How much a window may be scaled."""
_LONG_CYCLE = 3.0
"""Seconds for all callers to be answered once, from which on there is one round less."""
_DECISIVE = 0.8
"""How much a window may be scaled that a bar is about."""


@dataclass(frozen=True)
class Extent:
    """How much of everything is measured."""

    kinds: Sequence[str]
    concurrencies: Sequence[int]
    """Beside a single client."""
    shares: Sequence[float]
    rounds: int
    few_rounds: int
    """Of what no bar is about."""
    seconds: float
    """Of a window in which nothing asks for a longer one."""
    settings: int
    """Tried of each peer."""
    overloads: int
    """Rounds of overload."""
    peers_overloaded: bool


FULL_EXTENT = Extent(
    ("short", "mix", "long"), (16, FULL, 256), (0.5, 0.8, 1.2), 5, 3, 2.5, 99, 3, True
)
QUICK_EXTENT = Extent(("short", "mix"), (FULL,), (0.8,), 1, 1, 1.5, 2, 1, False)


@dataclass(frozen=True)
class KindLoads:
    """The loads of one kind of texts."""

    alone: Load
    closed: Sequence[Load]
    opened: Sequence[Load]
    batches: Sequence[Load]

    def all(self) -> Iterator[Load]:
        """Each of them."""
        yield from (self.alone, *self.closed, *self.opened, *self.batches)


def loads_of(kind: str, capacity: float, extent: Extent, scale: float = 1.0) -> KindLoads:
    """What is measured with one kind of texts.

    A closed loop first lets all its callers be answered once or so, and counts for as long again:
    256 callers of a model that takes 40 texts a second need seconds for that.

    Args:
        capacity: texts a second that the machine takes, roughly.
    """

    full = max(scale, _DECISIVE)

    def load(concurrency: int) -> Load:
        decisive = concurrency in (1, FULL)
        by = full if decisive else scale
        cycle = concurrency / capacity
        return Load(
            kind,
            concurrency,
            rounds=extent.rounds if decisive else extent.few_rounds - (cycle > _LONG_CYCLE),
            warm_up=max(0.3, by * 0.8 * cycle),
            seconds=max(0.8, by * max(extent.seconds, 1.5 * cycle)),
        )

    def opened(share: float) -> Load:
        decisive = share == 0.8
        # Latencies need more answers than throughput does.
        return Load(
            kind,
            share=share,
            rounds=extent.rounds if decisive else extent.few_rounds,
            seconds=extent.seconds * (1.6 * full if decisive else 1.2 * scale),
        )

    batch = BATCH / capacity
    batches = [
        Load(
            kind,
            concurrency,
            batch=BATCH,
            rounds=extent.rounds if concurrency == 2 else extent.few_rounds,
            warm_up=max(0.3, batch),
            seconds=full * max(extent.seconds, 5 * batch),
        )
        for concurrency in (1, 2)
    ]
    # No bar is about overload of long texts: waiting for it to drain would take minutes.
    shares = [share for share in extent.shares if kind != "long" or share == 0.8]
    return KindLoads(
        load(1),
        [load(concurrency) for concurrency in extent.concurrencies],
        [opened(share) for share in shares],
        batches if kind == "short" else [],
    )


def fitted(
    capacities: Mapping[str, float], extent: Extent, seconds: float
) -> Mapping[str, KindLoads]:
    """All loads, with windows scaled so that they take about that many seconds together."""
    plans: dict[str, KindLoads] = {}
    steps = 25
    for step in range(steps + 1):
        scale = _LONGEST + (_SHORTEST - _LONGEST) * step / steps
        plans = {kind: loads_of(kind, capacities[kind], extent, scale) for kind in extent.kinds}
        if sum(planned(plan, capacities[kind]) for kind, plan in plans.items()) <= seconds:
            break
    return plans


def planned(loads: KindLoads, capacity: float) -> float:
    """Seconds that one kind takes, all contestants together."""
    return sum(
        _CONTESTANTS
        * load.rounds
        * (load.warm_up + load.seconds + load.concurrency * load.batch / capacity + _OVERHEAD)
        for load in loads.all()
    )
