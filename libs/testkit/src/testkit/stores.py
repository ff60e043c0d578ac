"""Real PostgreSQL and Redis servers for tests, from the wheels that `make run` uses.

With WEIR_TEST_STORES=containers they are containers instead; see container_stores.py.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from weir_local.embedded_postgres import postgres_process, postgres_url
from weir_local.embedded_redis import redis_process, redis_url
from weir_local.process import ManagedProcess

_START_TIMEOUT = 30.0
StoreT = TypeVar("StoreT", bound="Store")


class Store:
    """A server that a test may stop, freeze, kill and start again."""

    def __init__(self, process: ManagedProcess, url: str) -> None:
        self._process = process
        self.url = url

    @property
    def pid(self) -> int | None:
        """The running server's process id; a container has none."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server lives."""
        return self._process.running

    @property
    def exit_code(self) -> int | None:
        """How the server ended; None while it lives."""
        return self._process.exit_code

    def send(self, number: int) -> None:
        """Sends it a signal, if it lives."""
        self._process.send(number)

    def stop(self) -> None:
        """Stops it gently."""
        self._process.stop()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def start_ready(self) -> None:
        """Starts it and waits until it answers.

        Raises:
            TimeoutError: it does not, with the end of its log.
        """
        self._process.start()
        spec = self._process.spec
        give_up = time.monotonic() + _START_TIMEOUT
        while not spec.ready():
            if not self.running or time.monotonic() > give_up:
                tail = spec.log_file.read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{spec.name} does not start:\n{tail}")
            time.sleep(0.02)


@contextmanager
def running_redis(directory: Path, *, durable: bool = True) -> Iterator[Store]:
    """A Redis of its own in `directory`."""
    if _containers_wanted():
        from testkit.container_stores import redis_container

        with redis_container(directory, durable=durable) as made:
            yield from _running(Store(*made))
        return
    socket_path = directory / "redis.sock"
    spec = redis_process(
        "redis", directory / "data", socket_path, directory / "redis.log", durable=durable
    )
    yield from _running(Store(ManagedProcess(spec), redis_url(socket_path)))


class PostgresStore(Store):
    """A PostgreSQL server that makes databases for tests."""

    def create_database(self, like: str = "", owner: str = "postgres") -> str:
        """A new database; returns its owner's URL for SQLAlchemy with asyncpg.

        Args:
            owner: a role that is made where it is missing, and may make roles; the superuser if
                none is named.
            like: URL of one to copy, that nobody is connected to; without it the new one is empty.
        """
        name = f"test_{uuid4().hex}"
        template = urlsplit(like).path.removeprefix("/") or "template1"
        asyncio.run(
            self._execute(
                f"DO $$ BEGIN CREATE ROLE {owner} LOGIN CREATEROLE; "
                "EXCEPTION WHEN duplicate_object THEN NULL; END $$",
                f'CREATE DATABASE "{name}" OWNER {owner} TEMPLATE "{template}"',
            )
        )
        return as_role(urlsplit(self.url)._replace(path=f"/{name}").geturl(), owner)

    async def _execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


def as_role(url: str, role: str) -> str:
    """The same database for another role of the server, which lets everybody in."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{role}@{rest.rpartition('@')[2]}"


@contextmanager
def running_postgres(directory: Path, *, durable: bool = False) -> Iterator[PostgresStore]:
    """A PostgreSQL of its own in `directory`: the wheel's, or that of WEIR_TEST_POSTGRES.

    The variable names a directory with `postgres` and `initdb`: the tests with another version.
    """
    if _containers_wanted():
        from testkit.container_stores import postgres_container

        with postgres_container(directory, durable=durable) as made:
            yield from _running(PostgresStore(*made))
        return
    socket_directory = directory / "run"
    other = os.environ.get("WEIR_TEST_POSTGRES")
    spec = postgres_process(
        directory / "data",
        socket_directory,
        directory / "postgres.log",
        durable=durable,
        **({"programs": Path(other)} if other else {}),
    )
    yield from _running(PostgresStore(ManagedProcess(spec), postgres_url(socket_directory)))


def _running(store: StoreT) -> Iterator[StoreT]:
    try:
        store.start_ready()
        yield store
    finally:
        store.stop()


def _containers_wanted() -> bool:
    # The module is imported where it is wanted alone: few of those who test have Docker.
    return os.environ.get("WEIR_TEST_STORES") == "containers"
