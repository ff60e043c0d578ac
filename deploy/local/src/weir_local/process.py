"""One child process: its output in a file, stopped by its own signal, never orphaned."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")


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
    niceness: int = 0
    """How far it gives way to the others when they are short of processors; 0 to 19."""
    prepare: Callable[[], None] = lambda: None
    """Called before each start."""
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
            OSError: the log file cannot be opened.
        """
        self.spec.prepare()
        self.spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                _launch(
                    self.spec.command, self.spec.stop_signal, self.spec.user, self.spec.niceness
                ),
                env={**os.environ, **self.spec.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
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
    command: Sequence[str],
    *,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a short program to its end, out of reach of a terminal's Ctrl-C, with its output kept.

    Args:
        environment: added to this process's own.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.run(
        _launch(command, signal.SIGKILL, user),
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,
    )


def _launch(
    command: Sequence[str], last_signal: int, user: str | None, niceness: int = 0
) -> list[str]:
    """The command that becomes `command`, as the user, and ends with us; see launch.py."""
    uid, gid = -1, -1
    if user is not None:
        entry = pwd.getpwnam(user)
        uid, gid = entry.pw_uid, entry.pw_gid
    settings = (os.getpid(), int(last_signal), uid, gid, niceness)
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *map(str, settings), *command]
