"""A platform of real stores and stand-in services, started by its own command."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

_STANDIN = Path(__file__).with_name("standin_service.py")


Eventually = Callable[..., Any]


def _eventually(holds: Callable[[], Any], within: float = 30.0) -> Any:
    """What `holds` gives as soon as that is true."""
    give_up = time.monotonic() + within
    while not (result := holds()):
        if time.monotonic() > give_up:
            raise AssertionError("it did not come to be")
        time.sleep(0.02)
    return result


class Platform:
    """`python -m weir_local` in a home of its own."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.output = directory / "output"
        self.port = _free_port()
        self.services = directory / "services"
        for name in ("gateway", "inference", "prediction_log", "drift"):
            package = self.services / name
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            (package / "__main__.py").write_text("import standin_service\n")
        shutil.copy(_STANDIN, self.services)
        self.models = directory / "models"
        self.models.mkdir()
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            return self._start(output, *arguments)

    def _start(self, output: IO[bytes] | int, *arguments: str) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "weir_local", *arguments],
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("WEIR_")},
                "PYTHONPATH": str(self.services),
                "WEIR_HOME": str(self.home),
                "WEIR_PORT": str(self.port),
                "WEIR_MODEL_REPOSITORY": str(self.models),
                **self.environment,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            # As in a terminal, also where the tests run under nohup.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        return self.process

    def start_ready(self) -> None:
        process = self.start()
        _eventually(lambda: "weir is ready" in self.text or process.poll() is not None)
        assert process.poll() is None, self.text

    def start_ready_into_a_pipe(self) -> None:
        """Its reader goes away at once."""
        read, write = os.pipe()
        self._start(write)
        os.close(write)
        os.close(read)
        _eventually((self.home / "run" / "processes.json").exists)
        _eventually(lambda: all(entry["ready"] for entry in self.state["processes"]))

    def run(self, *arguments: str) -> int:
        """Runs to the end, which must come by itself."""
        return self.start(*arguments).wait(60)

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def behave(self, name: str, how: str) -> None:
        (self.services / f"{name}.{how}").touch()

    def health(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health") as answer:
            status: str = json.load(answer)["status"]
            return status

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def state(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.home / "run" / "processes.json").read_text())
        return content

    def entry(self, name: str) -> dict[str, Any]:
        return next(entry for entry in self.state["processes"] if entry["name"] == name)

    def log(self, name: str) -> str:
        return (self.home / "logs" / f"{name}.log").read_text()

    def alive(self, children: list[psutil.Process]) -> list[psutil.Process]:
        """Those that have not ended; one that nobody asked for its exit code has."""
        return [
            child
            for child in children
            if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
        ]

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def eventually() -> Eventually:
    return _eventually


@pytest.fixture(scope="session")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a platform that ran once."""
    platform = Platform(tmp_path_factory.mktemp("used"))
    platform.start_ready()
    assert platform.stop() == 0
    shutil.rmtree(platform.home / "logs")
    return platform.home


@pytest.fixture
def new_platform(tmp_path: Path) -> Iterator[Platform]:
    """One that never ran."""
    yield from _stopped_at_the_end(Platform(tmp_path))


@pytest.fixture
def platform(tmp_path: Path, used_home: Path) -> Iterator[Platform]:
    """One that ran before: it need not make a PostgreSQL cluster."""
    platform = Platform(tmp_path)
    subprocess.run(["cp", "-a", used_home, platform.home], check=True)
    yield from _stopped_at_the_end(platform)


@pytest.fixture
def second_platform(tmp_path: Path, used_home: Path) -> Iterator[Platform]:
    platform = Platform(tmp_path / "second")
    subprocess.run(["cp", "-a", used_home, platform.home], check=True)
    yield from _stopped_at_the_end(platform)


def _stopped_at_the_end(platform: Platform) -> Iterator[Platform]:
    yield platform
    if platform.process is not None and platform.process.poll() is None:
        platform.process.terminate()
        platform.process.wait(30)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
