"""Kills processes of a platform at random, and measures how long it takes to be whole again."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from chaos.inside import query
from testkit.supervised import SupervisedPlatform

BACKEND = "postgres session"
"""One server process of PostgreSQL: it takes all its sisters along, and recovers by itself."""
_SESSION_TITLE = "postgres: weir "
"""How a server process that works for the service's role calls itself."""
VICTIMS = ("gateway", "inference", "events-redis", "prediction_log", "postgres", BACKEND)
_OVERLAPPING = 0.2
"""Share of kills that do not wait until the one before has been mended."""
_LONGEST_OVERLAP = 2.0
_GIVE_UP = 90.0
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """One kill: not before `at` seconds; `overlapping` ones follow the one before at once."""

    at: float
    victim: str
    overlapping: bool


@dataclass(slots=True)
class Kill:
    """What became of one; moments are on the monotonic clock."""

    victim: str
    pid: int
    at: float
    ready_at: float = 0.0
    """Its process is ready again."""
    healthy_at: float = 0.0
    """Every process is ready, and the gateway calls the platform healthy."""


def plan_kills(seed: int, kills: int, seconds: float, victims: Sequence[str]) -> list[Plan]:
    """So many kills over so many seconds, each victim as often as the others, in random order."""
    chance = random.Random(seed)
    rounds = -(-kills // len(victims))
    chosen = [v for _ in range(rounds) for v in chance.sample(victims, len(victims))][:kills]
    moments = sorted(chance.uniform(0, seconds) for _ in range(kills))
    plans: list[Plan] = []
    for at, victim in zip(moments, chosen, strict=True):
        overlapping = (
            bool(plans)
            and not plans[-1].overlapping
            and plans[-1].victim != victim
            and chance.random() < _OVERLAPPING
        )
        if overlapping:
            at = plans[-1].at + chance.uniform(0, _LONGEST_OVERLAP)
        plans.append(Plan(at, victim, overlapping))
    return plans


class Monkey:
    """Carries a plan out, one kill after the other, at most two of them at the same time."""

    def __init__(self, platform: SupervisedPlatform) -> None:
        self._platform = platform
        self.kills: list[Kill] = []

    async def run(self, plans: Sequence[Plan]) -> None:
        """Returns when the last one's damage is mended.

        Raises:
            TimeoutError: the platform does not come back by itself.
        """
        began = time.monotonic()
        watches: list[asyncio.Task[None]] = []
        for plan in plans:
            if not plan.overlapping:
                await asyncio.gather(*watches)
                watches.clear()
            await asyncio.sleep(began + plan.at - time.monotonic())
            kill = await self._kill(plan.victim)
            self.kills.append(kill)
            watches.append(asyncio.create_task(self._watch(kill)))
        await asyncio.gather(*watches)

    async def _kill(self, victim: str) -> Kill:
        part = "postgres" if victim == BACKEND else victim
        give_up = time.monotonic() + _GIVE_UP
        while time.monotonic() < give_up:
            pid = await asyncio.to_thread(self._platform.pid_of, part)
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                target = _session_of(pid) if pid and victim == BACKEND else pid
                if target:
                    os.kill(target, signal.SIGKILL)
                    return Kill(victim, target, time.monotonic())
            await asyncio.sleep(_LOOK)
        raise TimeoutError(f"{victim}: nothing to kill within {_GIVE_UP:.0f} s")

    async def _watch(self, kill: Kill) -> None:
        while not kill.healthy_at:
            if time.monotonic() - kill.at > _GIVE_UP:
                raise TimeoutError(
                    f"after {kill.victim} was killed the platform was not whole again within "
                    f"{_GIVE_UP:.0f} s: {await asyncio.to_thread(self._state)}"
                )
            await asyncio.sleep(_LOOK)
            if not kill.ready_at and await asyncio.to_thread(self._is_ready, kill):
                kill.ready_at = time.monotonic()
            if kill.ready_at and await asyncio.to_thread(self._is_whole):
                kill.healthy_at = time.monotonic()

    def _is_ready(self, kill: Kill) -> bool:
        part = "postgres" if kill.victim == BACKEND else kill.victim
        # A process that was just killed may seem to live for some moments.
        if self._platform.pid_of(part) in {None, kill.pid}:
            return False
        if part != "postgres":
            return True
        with suppress(Exception):  # Whatever the reason: it takes no queries yet.
            return bool(query(self._platform.endpoints, "SELECT 1"))
        return False

    def _is_whole(self) -> bool:
        ready = all(entry["ready"] for entry in self._platform.processes().values())
        return ready and self._platform.health().status == "healthy"

    def _state(self) -> str:
        down = [name for name, entry in self._platform.processes().items() if not entry["ready"]]
        return f"{self._platform.health()}, not ready: {down}"


def _session_of(postmaster: int) -> int | None:
    """A server process that works for the log; None while there is none."""
    return next(
        (
            child.pid
            for child in psutil.Process(postmaster).children()
            if any(part.startswith(_SESSION_TITLE) for part in child.cmdline())
        ),
        None,
    )
