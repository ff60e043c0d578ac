"""The directory that holds all state of one local platform."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from weir_local.embedded_postgres import SOCKET_NAME

_LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 108, macOS 104."""
_LONGEST_SOCKET_NAME = f"postgres/{SOCKET_NAME}"
# What addresses (URLs, gRPC targets, lists of PostgreSQL) take as it is.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
_LARGEST_LOG = 20 * 1024 * 1024


class HomeError(Exception):
    """The home cannot be used; the message says why."""


class Home:
    """Paths below a home that this process has locked."""

    def __init__(self, path: Path, sockets: Path) -> None:
        self.path = path
        self.sockets = sockets
        self.redis_events = path / "redis-events"
        self.redis_quota = path / "redis-quota"
        self.postgres = path / "postgres"
        self.identity = identity_directory(path)
        self.client_file = path / "client.json"
        self.endpoints_file = path / "endpoints.json"
        self.trace_file = trace_file(path)
        self.processes_file = processes_file(path)

    def log_file(self, name: str) -> Path:
        """Where a program's output goes."""
        return self.path / "logs" / f"{name}.log"

    def shorten_logs(self) -> None:
        """Puts logs and traces that grew large aside; the ones before those are lost."""
        for log in (*self.path.glob("logs/*.log"), self.trace_file):
            with suppress(FileNotFoundError):
                if log.stat().st_size > _LARGEST_LOG:
                    log.replace(log.with_name(f"{log.name}.1"))


def processes_file(home: Path) -> Path:
    """Where a running platform says which processes it has."""
    return home / "run" / "processes.json"


def trace_file(home: Path) -> Path:
    """Where a platform's finished spans are."""
    return home / "traces.jsonl"


def identity_directory(home: Path) -> Path:
    """Where the keys, the clients and the pepper are."""
    return home / "identity"


@contextmanager
def locked_home(path: Path) -> Iterator[Home]:
    """Makes the home where it is missing and keeps every other platform out of it.

    The lock is on the directory itself: nothing is left behind, whatever ends the process.

    Raises:
        HomeError: another platform runs there.
        OSError: it cannot be made or written.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = path.resolve()
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, path)
        with tempfile.TemporaryFile(dir=path):
            pass
        sockets = _make_socket_directory(path)
        try:
            yield Home(path, sockets)
        finally:
            shutil.rmtree(sockets, ignore_errors=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise HomeError(f"already running in {path}: stop it, or set WEIR_HOME") from None


def socket_directory_of(home: Path) -> Path:
    """Where a platform has its sockets while it runs; every program takes that path."""
    home = home.resolve()
    sockets = home / "run" / "sockets"
    if not fits_sockets(sockets):
        # The same name at every start, so that a crash leaves no second one.
        name = f"weir-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
        sockets = Path(tempfile.gettempdir()).resolve() / name
        if not fits_sockets(sockets):
            sockets = Path("/tmp") / name  # noqa: S108 - made private before it is used
    return sockets


def _make_socket_directory(home: Path) -> Path:
    """An empty directory for sockets."""
    (home / "run").mkdir(exist_ok=True, mode=0o700)
    sockets = socket_directory_of(home)
    _remove_own(sockets)
    # Fails where another user put something of that name, as it must.
    sockets.mkdir(mode=0o700)
    return sockets


def _remove_own(directory: Path) -> None:
    with suppress(FileNotFoundError):
        found = directory.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            shutil.rmtree(directory)


def fits_sockets(directory: Path) -> bool:
    """Whether every program takes the paths of sockets in a directory."""
    longest = str(directory / _LONGEST_SOCKET_NAME)
    return bool(_PLAIN_PATH.fullmatch(longest)) and len(longest) <= _LONGEST_SOCKET_PATH


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Replaces a file as a whole; only the owner can read it.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
