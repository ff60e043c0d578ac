"""A PostgreSQL server that runs while something is done with its data."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weir_local.embedded_postgres import postgres_process
from weir_local.home import fits_sockets
from weir_local.process import ManagedProcess
from weir_local.supervisor import end_of_log

_START_TIMEOUT = 60.0
_TICK = 0.05


@contextmanager
def server_of(data: Path, *, durable: bool = True) -> Iterator[Path]:
    """Runs a server on a data directory, making it where it is missing; gives its sockets' place.

    Raises:
        RuntimeError: it does not start.
        OSError: a directory cannot be made.
    """
    # Not beside the data, whose path may be too long for a socket.
    with _short_directory() as directory:
        sockets, log = directory / "run", directory / "postgres.log"
        server = ManagedProcess(postgres_process(data, sockets, log, durable=durable))
        server.start()
        try:
            give_up = time.monotonic() + _START_TIMEOUT
            while not server.spec.ready():
                if not server.running or time.monotonic() > give_up:
                    raise RuntimeError(f"PostgreSQL does not start on {data}{end_of_log(log)}")
                time.sleep(_TICK)
            yield sockets
        finally:
            server.stop()


@contextmanager
def _short_directory() -> Iterator[Path]:
    temporary = Path(tempfile.gettempdir()).resolve()
    if not fits_sockets(temporary / "weir-12345678"):
        temporary = Path("/tmp")  # noqa: S108 - mkdtemp makes a private directory there
    with tempfile.TemporaryDirectory(prefix="weir-", dir=temporary) as directory:
        yield Path(directory)


@contextmanager
def scratch_server(directory: Path) -> Iterator[Path]:
    """A new server that leaves nothing; its data are below `directory` meanwhile.

    Raises:
        RuntimeError: it does not start.
        OSError: a directory cannot be made.
    """
    place = Path(tempfile.mkdtemp(prefix=".scratch-", dir=directory))
    try:
        with server_of(place / "postgres", durable=False) as sockets:
            yield sockets
    finally:
        shutil.rmtree(place, ignore_errors=True)
