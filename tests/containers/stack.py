"""The compose stack of a test run, in a project and a folder of its own."""

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from containers.images import DOCKER, REPOSITORY, build_environment, docker, inspect
from testkit.platform import free_port, wait_until

_JOBS = ("migrations",)
_SLOWEST_START = 240.0


class Stack:
    """What `docker compose up` started; containers are known by their service."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.address = f"https://localhost:{port}"
        self._env_file = folder.parent / ".env"
        self._project = f"weir-test-{port}"
        self._environment = {**build_environment(), "COMPOSE_PROJECT_NAME": self._project}
        self._token = ""

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs docker compose on the stack."""
        files = ("--env-file", str(self._env_file), "--file", "docker-compose.yml")
        command = [*_compose_command(), "--project-name", self._project, *files, *arguments]
        return subprocess.run(
            command, cwd=REPOSITORY, env=self._environment, capture_output=True, text=True
        )

    def up(self) -> None:
        """Starts what is not running and waits until all is healthy."""
        done = self.compose("up", "--detach", "--no-build")
        assert done.returncode == 0, f"{done.stderr}\n{self.logs()}"
        try:
            wait_until(self.is_healthy, "all healthy", within=_SLOWEST_START)
        except TimeoutError as error:
            raise TimeoutError(f"{self.states()}\n{self.logs()}") from error

    def containers(self) -> dict[str, dict[str, Any]]:
        """What Docker knows of each container, by its service."""
        ids = docker(
            "ps",
            "--all",
            "--quiet",
            "--filter",
            f"label=com.docker.compose.project={self._project}",
        ).split()
        found = inspect(*ids) if ids else []
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def states(self) -> dict[str, str]:
        """Each service's health, or its state where it has none."""
        return {
            service: each["State"].get("Health", {}).get("Status") or each["State"]["Status"]
            for service, each in self.containers().items()
        }

    def is_healthy(self) -> bool:
        """Whether every service is healthy and every job has ended well."""
        containers = self.containers()
        jobs_done = all(containers[job]["State"]["ExitCode"] == 0 for job in _JOBS)
        states = {name: state for name, state in self.states().items() if name not in _JOBS}
        return jobs_done and set(states.values()) == {"healthy"}

    def logs(self, *services: str) -> str:
        """The end of what the containers wrote."""
        return self.compose("logs", "--no-color", "--tail", "40", *services).stdout

    def client(self, *, token: bool = True) -> httpx.Client:
        """An HTTP client that trusts the made certificate and carries the demo client's token."""
        context = ssl.create_default_context(cafile=str(self.folder / "tls/authority.pem"))
        headers = {"Authorization": f"Bearer {self.token()}"} if token else {}
        return httpx.Client(base_url=self.address, verify=context, headers=headers, timeout=20.0)

    def token(self) -> str:
        """An access token of the demo client, the same one as long as it lives."""
        if not self._token:
            made = json.loads((self.folder / "client.json").read_text())
            with self.client(token=False) as client:
                answer = client.post(
                    made["token_url"],
                    data={"grant_type": "client_credentials"},
                    auth=(made["client_id"], made["client_secret"]),
                )
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        return self._token

    def secrets(self) -> set[str]:
        """Every password and key that `make env` made, and each line of those that have many."""
        public = (
            "authority.pem",
            "gateway.pem",
            "manifest.json",
            "clients.yaml",
            "input-sealing-key.pem",
        )
        texts = (
            path.read_text()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in public
        )
        return {word for text in texts for word in re.findall(r"[A-Za-z0-9+/=_-]{24,}", text)}


@contextmanager
def running_stack(directory: Path) -> Iterator[Stack]:
    """The stack with fresh volumes; nothing of it is left afterwards."""
    port = free_port()
    folder = directory / "files"
    made = ("--env-file", directory / ".env", "--folder", folder, "--port", str(port))
    version = ("--version", build_environment()["WEIR_VERSION"])
    command = [sys.executable, "-m", "weir_local", "env", *made, *version]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    stack = Stack(folder, port)
    try:
        stack.up()
        yield stack
    finally:
        stack.compose("--profile", "training", "down", "--volumes", "--timeout", "10")


def _compose_command() -> list[str]:
    """`docker compose`, or the program of its own that it was; COMPOSE names another."""
    if given := os.environ.get("COMPOSE"):
        return shlex.split(given)
    plugin = subprocess.run([DOCKER, "compose", "version"], capture_output=True)
    return [DOCKER, "compose"] if plugin.returncode == 0 else ["docker-compose"]
