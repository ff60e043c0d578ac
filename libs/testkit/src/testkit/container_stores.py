"""Stores of the tests as containers, with testcontainers, where WEIR_TEST_STORES=containers.

POSTGRES_IMAGE and REDIS_IMAGE name other images than those of docker-compose.yml.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import redis
from testcontainers.core.container import DockerContainer

from weir_local.process import ManagedProcess, ProcessSpec

_HOST = "127.0.0.1"
_POSTGRES = "postgres:17.6-alpine"
_REDIS = "redis:7.4.5-alpine"


class ContainerProcess(ManagedProcess):
    """A server in a container, in a test's hands like one that is a process."""

    def __init__(
        self, name: str, directory: Path, container: DockerContainer, ready: Callable[[], bool]
    ) -> None:
        super().__init__(ProcessSpec(name, (), directory / f"{name}.log", ready=ready))
        self._container = container
        self._made = False

    @property
    def running(self) -> bool:
        """Whether the container runs."""
        if not self._made:
            return False
        docker_container = self._docker()
        docker_container.reload()
        return bool(docker_container.status == "running")

    @property
    def exit_code(self) -> int | None:
        """How the server ended; None while it runs or before it started."""
        if not self._made or self.running:
            return None
        return int(self._docker().attrs["State"]["ExitCode"])

    def start(self) -> None:
        """Makes the container at the first time, and starts it."""
        if self._made:
            self._docker().start()
        else:
            self._container.start()
            self._made = True

    def send(self, number: int) -> None:
        """Sends a signal to the server, if it lives."""
        if self.running:
            self._docker().kill(signal=number)

    def stop(self) -> None:
        """Stops the server gently; its data stays."""
        if self._made:
            # One that was stopped with SIGSTOP would not hear it.
            self.send(signal.SIGCONT)
            self._docker().stop()

    def kill(self) -> None:
        """Ends the server at once; its data stays."""
        if self.running:
            self._docker().kill()
            self._docker().wait()

    def remove(self) -> None:
        """Leaves nothing of it, and its output in the log file."""
        if self._made:
            self.spec.log_file.write_bytes(self._docker().logs())
            self._container.stop()
            self._made = False

    def _docker(self) -> Any:
        return self._container.get_wrapped_container()


@contextmanager
def redis_container(directory: Path, *, durable: bool) -> Iterator[tuple[ContainerProcess, str]]:
    """A Redis server that does not run yet, and its URL; without the password that compose has."""
    port = _free_port()
    url = f"redis://{_HOST}:{port}/0"
    persistence = "--appendonly yes --appendfsync always" if durable else "--appendonly no"
    container = (
        DockerContainer(os.environ.get("REDIS_IMAGE", _REDIS))
        .with_bind_ports(6379, port)
        .with_command(
            f"redis-server --protected-mode no --save '' {persistence} "
            "--maxmemory 512mb --maxmemory-policy noeviction"
        )
    )

    def ready() -> bool:
        try:
            with redis.Redis.from_url(url, socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    with _removed(ContainerProcess("redis", directory, container, ready)) as process:
        yield process, url


@contextmanager
def postgres_container(directory: Path, *, durable: bool) -> Iterator[tuple[ContainerProcess, str]]:
    """A PostgreSQL server that does not run yet, and its superuser's URL.

    As the one of the wheel it lets everybody in, as whom they like.
    """
    port = _free_port()
    container = (
        DockerContainer(os.environ.get("POSTGRES_IMAGE", _POSTGRES))
        .with_bind_ports(5432, port)
        .with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_env("POSTGRES_USER", "postgres")
        .with_env("POSTGRES_DB", "postgres")
        .with_env("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8")
        .with_command("postgres" if durable else "postgres -c fsync=off")
    )

    async def connect() -> None:
        connection = await asyncpg.connect(f"postgresql://postgres@{_HOST}:{port}/postgres")
        await connection.close()

    def ready() -> bool:
        # The port answers before the server does, and the server before it lets anybody in.
        try:
            asyncio.run(connect())
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    url = f"postgresql+asyncpg://postgres@{_HOST}:{port}/postgres"
    with _removed(ContainerProcess("postgres", directory, container, ready)) as process:
        yield process, url


@contextmanager
def _removed(process: ContainerProcess) -> Iterator[ContainerProcess]:
    try:
        yield process
    finally:
        process.remove()


def _free_port() -> int:
    # Always the same one, so that a server that was started again is where it was.
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])
