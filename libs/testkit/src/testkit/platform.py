"""The whole platform of `make run`, with each of its processes in the test's hands."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from weir_local.home import Home, locked_home
from weir_local.identity import ensure_identity
from weir_local.platform_parts import Endpoints, endpoints_of, service_parts, store_parts
from weir_local.probes import read_health
from weir_local.process import ManagedProcess
from weir_local.supervisor import Part

_START_TIMEOUT = 60.0


class Platform:
    """Its processes by name: `postgres`, `events-redis`, `gateway` and so on."""

    def __init__(self, home: Home, endpoints: Endpoints, parts: list[Part]) -> None:
        self.home = home
        self.endpoints = endpoints
        self._parts = {part.spec.name: part for part in parts}
        self._processes = {name: ManagedProcess(part.spec) for name, part in self._parts.items()}
        self._token = ""

    def process(self, name: str) -> ManagedProcess:
        """One of the processes, to signal, stop or kill."""
        return self._processes[name]

    def start(self, name: str) -> None:
        """Starts a process and waits until it is ready, or has done its work."""
        process = self._processes[name]
        process.start()
        if self._parts[name].once:
            wait_until(lambda: process.exit_code is not None, name)
        else:
            wait_until(process.spec.ready, name)

    def start_all(self) -> None:
        """Starts everything in order and waits until the gateway calls it healthy."""
        for name in self._parts:
            self.start(name)
        self.wait_until_health("healthy")

    def stop_all(self) -> None:
        """Stops everything, the last started first."""
        for process in reversed(self._processes.values()):
            process.stop()

    def wait_until_health(self, status: str) -> None:
        """Waits until the gateway describes the platform so."""
        wait_until(lambda: read_health(self.endpoints.http).status == status, f"health {status}")

    def client_credentials(self) -> tuple[str, str]:
        """The demo client's id and secret."""
        content = json.loads(self.home.client_file.read_text())
        return content["client_id"], content["client_secret"]

    def token(self) -> str:
        """An access token of the demo client, the same one as long as it lives."""
        if not self._token:
            answer = httpx.post(
                f"{self.endpoints.http}/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=self.client_credentials(),
            )
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        return self._token

    def client(self, token: str | None = None) -> httpx.Client:
        """An HTTP client that carries the demo client's token, or the given one."""
        bearer = self.token() if token is None else token
        return httpx.Client(
            base_url=self.endpoints.http,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=20.0,
        )

    def metrics(self, service: str) -> str:
        """What a service tells Prometheus now, in the text format."""
        if service == "gateway":
            url = f"{self.endpoints.http}/metrics"
        else:
            log = self.home.log_file(service).read_text()
            *_, address = re.findall(r'"address": ?"([^"]+)"[^\n]*"event": ?"metrics_served"', log)
            url = f"http://{address}/metrics"
        return httpx.get(url, timeout=20.0).raise_for_status().text


@contextmanager
def running_platform(
    home: Path, models: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Platform]:
    """A platform in a home of its own, on a free port.

    Args:
        settings: environment variables that every service gets beside its own.
    """
    port = free_port()
    with locked_home(home) as locked:
        endpoints = endpoints_of(locked, port)
        stores = store_parts(locked)
        identity = ensure_identity(locked, endpoints.http)
        services = service_parts(locked, endpoints, identity, models=models, port=port)
        parts = [*stores, *(_with_environment(part, settings or {}) for part in services)]
        platform = Platform(locked, endpoints, parts)
        try:
            platform.start_all()
            yield platform
        finally:
            platform.stop_all()


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], what: str, within: float = _START_TIMEOUT) -> None:
    """Returns once `holds` does.

    Raises:
        TimeoutError: it did not within so many seconds.
    """
    give_up = time.monotonic() + within
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what}: not within {within:.0f} s")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _with_environment(part: Part, settings: Mapping[str, str]) -> Part:
    spec = part.spec
    return replace(part, spec=replace(spec, environment={**spec.environment, **settings}))
