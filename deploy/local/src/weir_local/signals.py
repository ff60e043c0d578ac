"""The signals that end the platform, and the one that says that a child ended."""

import os
import select
import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, counts requests to stop and lets a loop sleep until any signal comes.

    Handlers only note the signal: work is done by the loop, which is never interrupted midway.
    """

    def __init__(self) -> None:
        self.stops = 0
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._read = self._write = -1

    def wait(self, seconds: float) -> None:
        """Sleeps until a signal comes, a child's end included, or the time is over."""
        if select.select([self._read], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self._read, 4096)

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _STOPS:
            # Under nohup the end of the terminal is no reason to stop.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._count)
        # Without a handler of Python's the end of a child would wake nobody.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stops += 1
