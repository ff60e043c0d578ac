"""One child process: its output in a file, stopped by its own signal, never orphaned."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessSpec:
    """How to run one program."""

    name: str
    command: Sequence[str]
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to this process's own."""
    stop_signal: int = signal.SIGTERM
    stop_timeout: float = 15.0
    """Seconds until SIGKILL."""
    user: str | None = None
    """System user to run as; None keeps the own."""
    ready: Callable[[], bool] = lambda: True
    """Whether it can be used; called from time to time once it runs."""


class ManagedProcess:
    """A program that runs between `start` and `stop`, and can be started again."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The running child's process id."""
        return self._child.pid if self.running and self._child else None

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the child ended; None while it runs or before it started."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Starts the program in a session of its own, so that a terminal's Ctrl-C reaches only us.

        Raises:
            OSError: the program or its log file cannot be opened.
        """
        self.spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                self.spec.command,
                env={**os.environ, **self.spec.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.spec.user,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    def send(self, number: int) -> None:
        """Sends a signal to the child, if it lives."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def stop(self) -> None:
        """Asks the child to stop, waits, and kills it when it does not."""
        if self._child is None:
            return
        # A stopped child (SIGSTOP) would not hear the request.
        self.send(signal.SIGCONT)
        self.send(self.spec.stop_signal)
        try:
            self._child.wait(self.spec.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the child at once."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()


def _die_with_parent() -> None:
    """Asks Linux to end this child when its parent is gone, even by kill -9."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
