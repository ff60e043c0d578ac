"""One child process: its output in a file, stopped by its own signal, never orphaned."""

import ctypes
import functools
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

_PR_SET_PDEATHSIG = 1
# Opened here: between fork and exec is no time to load a library.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class _Credentials(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


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

        Call it from the main thread: on Linux the child ends with the thread that started it.

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
                **_as_user(self.spec.user),
                preexec_fn=functools.partial(
                    _end_with_parent, os.getpid(), int(self.spec.stop_signal)
                ),
            )

    def send(self, number: int) -> None:
        """Sends a signal to the child, if it lives."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def request_stop(self) -> None:
        """Asks the child to stop and returns at once."""
        # A stopped child (SIGSTOP) would not hear the request.
        self.send(signal.SIGCONT)
        self.send(self.spec.stop_signal)

    def stop(self) -> None:
        """Asks the child to stop, waits, and kills it when it does not."""
        if self._child is None:
            return
        self.request_stop()
        try:
            self._child.wait(self.spec.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the child, and what it started in its session, at once."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()


def run_to_end(
    command: Sequence[str], *, user: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a short program to its end, out of reach of a terminal's Ctrl-C, with its output kept.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.run(
        command,
        **_as_user(user),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,
        # Another user may not be allowed to be where we are.
        cwd=None if user is None else "/",
    )


def _as_user(name: str | None) -> _Credentials:
    """The user with its own group alone: as member of root's it would be judged by that."""
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _end_with_parent(parent: int, stop_signal: int) -> None:
    """Asks Linux to end this child when its parent is gone, even by kill -9."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, stop_signal)
    if os.getppid() != parent:  # it went before the request
        os._exit(1)
