"""What `make run` starts, as the process that a person starts and interrupts."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from testkit.platform import free_port, is_alive, wait_until


class Running:
    """`make run` without make, in a home of its own."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, port: int, log: Path) -> None:
        self.process = process
        self.home = home
        self.port = port
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.output
            return f"weir is ready at http://127.0.0.1:{self.port}" in self.output

        wait_until(ready, "ready")
        wait_until(self._healthy, "healthy")

    def _healthy(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/health")
            return bool(answer.json()["status"] == "healthy")
        except (httpx.HTTPError, ValueError):
            return False


@contextmanager
def started(home: Path, port: int) -> Iterator[Running]:
    log = home.with_name(f"{home.name}-{port}.log")
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "weir_local"],
            env=os.environ | {"WEIR_HOME": str(home), "WEIR_PORT": str(port)},
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield Running(process, home, port, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


def processes(home: Path) -> list[dict[str, Any]]:
    content = json.loads((home / "run" / "processes.json").read_text())
    found: list[dict[str, Any]] = content["processes"]
    return found


def pids(home: Path) -> list[int]:
    return [process["pid"] for process in processes(home) if process["pid"]]


def pid_of(home: Path, name: str) -> int:
    return next(int(process["pid"]) for process in processes(home) if process["name"] == name)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One platform that runs while the others come and go."""
    with started(tmp_path_factory.mktemp("first"), free_port()) as running:
        running.wait_until_ready()
        yield running


def test_busy_port_is_named_in_one_line(tmp_path: Path, first: Running) -> None:
    with started(tmp_path / "home", first.port) as second:
        assert second.process.wait(30) == 1
    (line,) = second.output.splitlines()
    assert re.search(rf"port {first.port} is .*WEIR_PORT", line)


def test_another_one_stands_beside_it_and_ctrl_c_leaves_nothing_of_it(
    tmp_path: Path, first: Running
) -> None:
    home = tmp_path / "home"
    with started(home, free_port()) as second:
        second.wait_until_ready()
        children = pids(home)
        assert len(children) >= 7
        client_file = home / "client.json"
        assert client_file.stat().st_mode & 0o777 == 0o600
        assert client_file.read_text() != (first.home / "client.json").read_text()

        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(30) == 0, second.output
    assert not any(is_alive(pid) for pid in children)
    assert [*home.rglob("*.sock"), *home.rglob("*.pid")] == []
    first.wait_until_ready()


def test_killed_processes_are_started_again(first: Running) -> None:
    before = pids(first.home)
    for name in ("inference", "postgres", "events-redis"):
        os.kill(pid_of(first.home, name), signal.SIGKILL)
    wait_until(lambda: len(set(pids(first.home)) - set(before)) >= 3, "new processes")
    first.wait_until_ready()
