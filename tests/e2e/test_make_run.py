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

import httpx

from testkit.platform import free_port, is_alive, wait_until


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


def pids(home: Path) -> list[int]:
    content = json.loads((home / "run" / "processes.json").read_text())
    return [process["pid"] for process in content["processes"] if process["pid"]]


def test_two_stand_side_by_side_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    ports = [free_port(), free_port()]
    with started(homes[0], ports[0]) as first, started(homes[1], ports[1]) as second:
        for process, port in zip((first, second), ports, strict=True):
            wait_until_ready(process, port)
        children = [pid for home in homes for pid in pids(home)]
        assert len(children) >= 14
        secrets = [json.loads((home / "client.json").read_text()) for home in homes]
        assert secrets[0]["client_secret"] != secrets[1]["client_secret"]
        assert (homes[0] / "client.json").stat().st_mode & 0o777 == 0o600

        for process, port in zip((first, second), ports, strict=True):
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
            assert process.returncode == 0, output
            assert f"weir is ready at http://127.0.0.1:{port}" in output
    assert not any(is_alive(pid) for pid in children)
    for home in homes:
        assert list(home.rglob("*.sock")) == []
        assert list(home.rglob("*.pid")) == []


def test_busy_port_is_named_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path / "one", port) as first:
        wait_until_ready(first, port)
        with started(tmp_path / "two", port) as second:
            output, _ = second.communicate(timeout=30)
    assert second.returncode == 1
    (line,) = output.splitlines()
    assert re.search(rf"port {port} is .*WEIR_PORT", line)


def test_killed_service_is_started_again(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    with started(home, port) as process:
        wait_until_ready(process, port)
        content = json.loads((home / "run" / "processes.json").read_text())
        for part in content["processes"]:
            if part["name"] in {"inference", "postgres", "events-redis"}:
                os.kill(part["pid"], signal.SIGKILL)
        wait_until_ready(process, port)
        wait_until(lambda: len(set(pids(home)) - _old(content)) >= 3, "new processes")
        wait_until_ready(process, port)


def _old(content: dict[str, list[dict[str, int]]]) -> set[int]:
    return {process["pid"] for process in content["processes"]}
