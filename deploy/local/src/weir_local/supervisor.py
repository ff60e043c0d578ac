"""Starts the parts of the platform in order, starts again what dies, stops all of it in order."""

import enum
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from weir_local.process import ManagedProcess, ProcessSpec
from weir_local.report import Report
from weir_local.signals import StopSignals

_TICK = 0.03
"""Seconds between looks while something starts or stops."""
_WATCH_TICK = 5.0
"""Seconds between looks while all is well; the end of a child is heard at once."""
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_CALM = 10.0
"""Seconds without a death after which the delay is short again: what lived for so long does not die
of its start."""
_START_ATTEMPTS = 4


class StartError(Exception):
    """A part did not become ready; the message says why."""


class StopRequestedError(Exception):
    """A signal asked to stop."""


@dataclass(frozen=True)
class Part:
    """A program of the platform and its place in the order."""

    spec: ProcessSpec
    stage: int
    """Higher stages stop first; a stage stops together."""
    needs: tuple[str, ...] = ()
    """Parts that must be ready before this one starts."""
    once: bool = False
    """It ends by itself, and is ready when it has."""


class PartState(enum.StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DEAD = "dead"
    STOPPED = "stopped"


class RunningPart:
    """A part's process and what became of it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.name = part.spec.name
        self.process = ManagedProcess(part.spec)
        self.state = PartState.WAITING
        self.restarts = 0
        self.started_at = 0.0
        self.start_at = 0.0
        self._delay = _FIRST_DELAY

    def start(self, now: float) -> None:
        """Starts the process."""
        self.process.start()
        self.state, self.started_at = PartState.STARTING, now

    def died(self, now: float) -> None:
        """Plans the next start; the delay grows from death to death."""
        if now - self.started_at > _CALM:
            self._delay = _FIRST_DELAY
        self.state, self.start_at = PartState.DEAD, now + self._delay
        self._delay = min(self._delay * 2, _LONGEST_DELAY)
        self.restarts += 1


class Supervisor:
    """Keeps parts running between `start` and `stop`; use it from the main thread.

    Args:
        changed: called with all parts whenever one's process or state changed.
        start_timeout: seconds that a part may take to become ready at the first start.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        report: Report,
        signals: StopSignals,
        *,
        changed: Callable[[Sequence[RunningPart]], None] = lambda _: None,
        start_timeout: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = [RunningPart(part) for part in parts]
        self._report = report
        self._signals = signals
        self._changed = changed
        self._start_timeout = start_timeout
        self._clock = clock
        self._ready: set[str] = set()

    def start(self) -> None:
        """Starts every part as soon as what it needs is ready; returns when all are.

        Raises:
            StartError: a part does not become ready, or dies again and again.
            StopRequestedError: a signal came first.
            OSError: a program cannot be started.
        """
        self.pause(0)
        while any(part.state is not PartState.READY for part in self._parts):
            self._look(starting=True)
            self.pause(_TICK)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Keeps the parts running until the condition holds; False when it does not in time.

        Raises:
            StopRequestedError: a signal came first.
        """
        give_up = self._clock() + timeout
        while not condition():
            if self._clock() > give_up:
                return False
            self._look()
            self.pause(_TICK)
        return True

    def watch(self) -> None:
        """Keeps the parts running until a signal asks to stop."""
        while not self._signals.stops:
            self._look()
            calm = all(part.state is PartState.READY for part in self._parts)
            self._signals.wait(_WATCH_TICK if calm else _TICK)

    def pause(self, seconds: float) -> None:
        """Waits a little.

        Raises:
            StopRequestedError: a signal asked to stop.
        """
        if not self._signals.stops:
            self._signals.wait(seconds)
        if self._signals.stops:
            raise StopRequestedError

    def stop(self) -> bool:
        """Stops every part, the highest stage first.

        Another stop signal while it works kills what is left.

        Returns:
            Whether all parts stopped by themselves.
        """
        # One signal brought us here; when none did, the first one is a hurry already.
        patient = min(self._signals.stops, 1)
        gently = True
        for stage in sorted({part.part.stage for part in self._parts}, reverse=True):
            running = [p for p in self._parts if p.part.stage == stage and p.process.running]
            for part in running:
                part.process.request_stop()
            began = self._clock()
            while running := [part for part in running if part.process.running]:
                hurried = self._signals.stops > patient
                for part in running:
                    if hurried or self._clock() - began > part.part.spec.stop_timeout:
                        gently = False
                        part.process.kill()
                self._signals.wait(_TICK)
            self._changed(self._parts)
        for part in self._parts:
            part.state = PartState.STOPPED
        self._changed(self._parts)
        return gently

    def _look(self, *, starting: bool = False) -> None:
        now = self._clock()
        before = [(part.state, part.process.pid) for part in self._parts]
        for part in self._parts:
            match part.state:
                case PartState.WAITING if self._ready.issuperset(part.part.needs):
                    part.start(now)
                case PartState.DEAD if now >= part.start_at:
                    part.start(now)
                case PartState.STARTING if part.part.once:
                    self._look_at_task(part, now)
                case PartState.READY if part.part.once:
                    pass
                case PartState.STARTING | PartState.READY if not part.process.running:
                    self._bury(part, now, starting=starting)
                case PartState.STARTING if part.part.spec.ready():
                    self._welcome(part, now)
            if starting and part.state is PartState.STARTING:
                self._check_patience(part, now)
        if before != [(part.state, part.process.pid) for part in self._parts]:
            self._changed(self._parts)

    def _look_at_task(self, part: RunningPart, now: float) -> None:
        if part.process.running:
            return
        if part.process.exit_code != 0:
            raise StartError(f"{part.name} failed{_end_of(part)}")
        self._welcome(part, now)

    def _welcome(self, part: RunningPart, now: float) -> None:
        part.state = PartState.READY
        first = part.name not in self._ready
        self._ready.add(part.name)
        if first:
            self._report.step(part.name, now - part.started_at)
        else:
            self._report.note(f"{part.name} is back")

    def _bury(self, part: RunningPart, now: float, *, starting: bool) -> None:
        cause = _cause(part.process.exit_code or 0)
        if starting and part.restarts + 1 >= _START_ATTEMPTS:
            raise StartError(f"{part.name} {cause} at every start{_end_of(part)}")
        part.died(now)
        self._report.warn(f"{part.name} {cause}; starting it again")

    def _check_patience(self, part: RunningPart, now: float) -> None:
        if now - part.started_at > self._start_timeout:
            raise StartError(
                f"{part.name} is not ready after {self._start_timeout:.0f} s{_end_of(part)}"
            )


def _cause(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _end_of(part: RunningPart) -> str:
    return end_of_log(part.part.spec.log_file)


def end_of_log(log_file: Path, lines: int = 10) -> str:
    """The last lines that a program wrote, to follow a message."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - 16_384))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in (f"in {log_file}:", *text.splitlines()[-lines:]))
