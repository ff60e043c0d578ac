"""The platform as `make run` starts it: its own supervisor starts again what a test kills."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testkit.platform import free_port, wait_until
from weir_local.home import processes_file
from weir_local.platform_parts import Endpoints
from weir_local.probes import Health, read_health
from weir_local.processes import read_processes

_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 60.0


class SupervisedPlatform:
    """Its processes belong to the supervisor; a test sees them by name and may end them."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, address: str) -> None:
        self.home = home
        self.address = address
        self._process = process

    @property
    def output(self) -> str:
        """What the supervisor told its user."""
        return _output_file(self.home).read_text(errors="replace")

    def processes(self) -> dict[str, dict[str, Any]]:
        """Every long-lived process by name: `pid`, `running`, `ready`, `restarts`.

        Raises:
            RuntimeError: the supervisor itself is gone, with what it said last.
        """
        content = read_processes(processes_file(self.home))
        if not content["running"]:
            raise RuntimeError(f"the platform ended:\n{self.output[-2000:]}")
        return {entry["name"]: entry for entry in content["processes"]}

    def pid_of(self, name: str) -> int | None:
        """The process id of a part that is ready; None while it is not."""
        entry = self.processes()[name]
        return int(entry["pid"]) if entry["ready"] else None

    def health(self) -> Health:
        """What the gateway says."""
        return read_health(self.address)

    def log_of(self, name: str) -> str:
        """Everything that a process wrote."""
        return (self.home / "logs" / f"{name}.log").read_text(errors="replace")

    def wait_until_healthy(self, within: float = 60.0) -> None:
        """Waits until every process is ready and the gateway calls the platform healthy."""

        def healthy() -> bool:
            ready = all(entry["ready"] for entry in self.processes().values())
            return ready and self.health().status == "healthy"

        wait_until(healthy, "healthy", within)

    def credentials(self) -> tuple[str, str]:
        """The demo client's id and secret."""
        content = json.loads((self.home / "client.json").read_text())
        return content["client_id"], content["client_secret"]

    @property
    def endpoints(self) -> Endpoints:
        """Where its parts listen."""
        return Endpoints(**json.loads((self.home / "endpoints.json").read_text()))


@contextmanager
def supervised_platform(
    home: Path, models: Path, settings: Mapping[str, str] | None = None
) -> Iterator[SupervisedPlatform]:
    """A platform in a home of its own, on a free port; healthy when it is handed out.

    Args:
        settings: environment variables beside this process's own.
    """
    port = free_port()
    environment = {
        **os.environ,
        "WEIR_HOME": str(home),
        "WEIR_PORT": str(port),
        "WEIR_MODEL_REPOSITORY": str(models),
        **(settings or {}),
    }
    _output_file(home).parent.mkdir(parents=True, exist_ok=True)
    with (
        _output_file(home).open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "weir_local"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        platform = SupervisedPlatform(process, home, f"http://127.0.0.1:{port}")

        def welcomed() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the platform did not start:\n{platform.output}")
            return "weir is ready" in platform.output

        try:
            wait_until(welcomed, "the platform's start", _START_TIMEOUT)
            yield platform
        finally:
            process.terminate()
            process.wait(_STOP_TIMEOUT)


def _output_file(home: Path) -> Path:
    return home.with_name(f"{home.name}-supervisor.log")
