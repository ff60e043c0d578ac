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
from typing import Any, NamedTuple

import httpx
import pytest

from testkit.platform import free_port, is_alive, wait_until


class Running(NamedTuple):
    """A platform that `started` gave."""

    process: subprocess.Popen[str]
    home: Path
    port: int


@contextmanager
def started(home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`make run` without make, in a home of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "weir_local"],
        env=os.environ | {"WEIR_HOME": str(home), "WEIR_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)


def wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    def ready() -> bool:
        assert process.poll() is None, process.stdout and process.stdout.read()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "healthy"
        except (httpx.HTTPError, ValueError):
            return False

    wait_until(ready, "healthy")


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
    home, port = tmp_path_factory.mktemp("first"), free_port()
    with started(home, port) as process:
        wait_until_ready(process, port)
        yield Running(process, home, port)


def test_busy_port_is_named_in_one_line(tmp_path: Path, first: Running) -> None:
    with started(tmp_path, first.port) as second:
        output, _ = second.communicate(timeout=30)
    assert second.returncode == 1
    (line,) = output.splitlines()
    assert re.search(rf"port {first.port} is .*WEIR_PORT", line)


def test_another_one_stands_beside_it_and_ctrl_c_leaves_nothing_of_it(
    tmp_path: Path, first: Running
) -> None:
    port = free_port()
    with started(tmp_path, port) as second:
        wait_until_ready(second, port)
        children = pids(tmp_path)
        assert len(children) >= 7
        client_file = tmp_path / "client.json"
        assert client_file.stat().st_mode & 0o777 == 0o600
        assert client_file.read_text() != (first.home / "client.json").read_text()

        second.send_signal(signal.SIGINT)
        output, _ = second.communicate(timeout=30)
    assert second.returncode == 0, output
    assert f"weir is ready at http://127.0.0.1:{port}" in output
    assert not any(is_alive(pid) for pid in children)
    assert [*tmp_path.rglob("*.sock"), *tmp_path.rglob("*.pid")] == []
    wait_until_ready(first.process, first.port)


def test_killed_processes_are_started_again(first: Running) -> None:
    before = pids(first.home)
    for name in ("inference", "postgres", "events-redis"):
        os.kill(pid_of(first.home, name), signal.SIGKILL)
    wait_until(lambda: len(set(pids(first.home)) - set(before)) >= 3, "new processes")
    wait_until_ready(first.process, first.port)
