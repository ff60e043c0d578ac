"""Finds each peer's best settings for each kind of texts, by trying them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from load import Plan, Result, measured
from peer_process import Peer
from peer_servers.text_model import Package, Settings
from peer_settings import candidates, described
from progress import Progress

_BUSY = 64
"""The concurrency at which the best throughput is looked for."""
_HOPELESS = 0.6
"""Of the best so far, on the first kind; what has less is not tried with the others."""
START_SECONDS = 6.0
"""That a server is expected to take until it answers."""


@dataclass
class Tried:
    """What one setting reached."""

    settings: Settings
    rates: dict[str, float] = field(default_factory=dict)
    """Texts a second by kind of texts, many clients at a time."""
    alone_ms: dict[str, float] = field(default_factory=dict)
    """Median by kind of texts, one client."""


@dataclass(frozen=True)
class Found:
    """All that was tried of one peer."""

    peer: str
    tried: Sequence[Tried]

    def busy(self, kind: str) -> Settings:
        """The one with the most throughput."""
        return max(self.tried, key=lambda it: it.rates.get(kind, 0.0)).settings

    def alone(self, kind: str) -> Settings:
        """The one that answers a single client first."""
        return min(self.tried, key=lambda it: it.alone_ms.get(kind, float("inf"))).settings

    def as_row(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "peer": self.peer,
            "tried": [
                {
                    "settings": asdict(one.settings),
                    "in_words": described(self.peer, one.settings),
                    "texts_a_second": one.rates,
                    "alone_p50_ms": one.alone_ms,
                }
                for one in self.tried
            ],
        }


@dataclass(frozen=True)
class Search:
    """How long to look, and with what."""

    package: Package
    cores: int
    directory: Path
    texts: Mapping[str, Sequence[str]]
    seconds: Mapping[str, float]
    """Of one measurement by kind of texts, the cheapest kind first."""
    most: int
    """Settings of one peer that are tried."""

    def planned(self, peer: str) -> float:
        """Seconds that it should take."""
        tried = len(self._settings(peer))
        return tried * (START_SECONDS + 2.5 * sum(self.seconds.values()))

    def of(self, peer: str, progress: Progress, check: Callable[[Peer], None]) -> Found:
        """Tries all settings of one peer.

        Args:
            check: raises when its answers are not the model's.
        """
        tried: list[Tried] = []
        settings = self._settings(peer)
        for number, one in enumerate(settings):
            server = Peer(peer, self.package, one, self.directory / f"{peer}-{number}")
            try:
                server.wait_until_ready()
                check(server)
                tried.append(self._try(server, one, max(map(self._first_rate, tried), default=0.0)))
            finally:
                server.stop()
            rates = "  ".join(f"{kind} {rate:.0f}/s" for kind, rate in tried[-1].rates.items())
            progress.step(
                f"{peer}: {described(peer, one)}: {rates}", self.planned(peer) / len(settings)
            )
        return Found(peer, tried)

    def _settings(self, peer: str) -> Sequence[Settings]:
        return candidates(peer, self.cores)[: self.most]

    def _try(self, server: Peer, settings: Settings, best: float) -> Tried:
        found = Tried(settings)
        for kind, seconds in self.seconds.items():
            plan = server.single(self.texts[kind])
            found.alone_ms[kind] = _load(plan, 1, 0.3, seconds / 2).answered_ms.get(
                "p50", float("inf")
            )
            found.rates[kind] = _load(plan, _BUSY, seconds / 2, seconds).rate
            if found.rates[kind] < _HOPELESS * best:
                break
            best = 0.0
        return found

    def _first_rate(self, tried: Tried) -> float:
        return next(iter(tried.rates.values()), 0.0)


def _load(plan: Plan, concurrency: int, warm_up: float, seconds: float) -> Result:
    return measured(replace(plan, concurrency=concurrency, warm_up=warm_up, seconds=seconds))
