"""The servers that take turns: each can be sent texts, put to sleep and woken."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import psutil
from load import Plan

from testkit.platform import Platform, wait_until

_QUIET_SHARE = 0.1
_TOKEN_GOOD_FOR = 240.0
_QUOTA = 1_000_000_000


class Contestant:
    """A server that listens; what it answers is for subclasses to say."""

    name: str
    quiet_within = 20.0
    """Seconds that it gets to become quiet."""

    def single(self, texts: Sequence[str]) -> Plan:
        """One text a request."""
        raise AssertionError("every server has its own route")

    def batches(self, groups: Sequence[Sequence[str]]) -> Plan:
        """Several texts a request."""
        raise AssertionError("every server has its own route")

    def positive(self, answer: Any) -> float:
        """The probability of the last label in an answer to a single text."""
        raise AssertionError("every server has its own shape")

    def processes(self) -> list[psutil.Process]:
        """All that belong to it."""
        raise AssertionError("every server has processes")

    def wake(self) -> None:
        """Its turn begins."""

    def sleep(self) -> None:
        """Its turn ends: it uses no processor time until it is woken."""

    def ask(self, texts: Sequence[str]) -> list[float]:
        """What `positive` says of each text."""
        plan = self.single(texts)
        headers = {"content-type": "application/json", **plan.headers}
        with httpx.Client(headers=headers, timeout=30) as client:
            answers = [client.post(plan.url, content=body) for body in plan.bodies]
        return [self.positive(answer.raise_for_status().json()) for answer in answers]

    def become_quiet(self) -> None:
        """Waits until it has done what it does after its answers (writing a log, for one)."""
        give_up = time.monotonic() + self.quiet_within
        before = self.cpu_seconds()
        while time.monotonic() < give_up:
            time.sleep(0.2)
            now = self.cpu_seconds()
            if now - before < _QUIET_SHARE * 0.2:
                return
            before = now

    def cpu_seconds(self) -> float:
        """That it has used so far."""
        return sum(
            of_living(process, lambda it: sum(it.cpu_times()[:2])) for process in self.processes()
        )

    def memory_mib(self) -> float:
        """Of all its processes; what they share is counted once."""
        return sum(
            of_living(process, lambda it: it.memory_full_info().pss) for process in self.processes()
        ) / (2**20)


class Weir(Contestant):
    """The platform as `make run` starts it, with a client whose quota is never reached."""

    name = "weir"

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._credentials = _generous_client(platform)
        self._token, self._token_from = "", float("-inf")

    def single(self, texts: Sequence[str]) -> Plan:
        bodies = [json.dumps({"text": text, "return_probabilities": True}) for text in texts]
        return Plan(f"{self._platform.endpoints.http}/predict", bodies, self._headers())

    def batches(self, groups: Sequence[Sequence[str]]) -> Plan:
        bodies = [json.dumps({"texts": group, "return_probabilities": True}) for group in groups]
        return Plan(f"{self._platform.endpoints.http}/predict/batch", bodies, self._headers())

    def positive(self, answer: Any) -> float:
        return list(answer["probabilities"].values())[-1]

    def processes(self) -> list[psutil.Process]:
        names = ("gateway", "inference", "events-redis", "quota-redis", "prediction_log", "drift")
        found = [psutil.Process(self.pid(name)) for name in (*names, "postgres")]
        return [one for root in found for one in (root, *root.children(recursive=True))]

    def pid(self, name: str) -> int:
        """Of one of the platform's processes."""
        pid = self._platform.process(name).pid
        if pid is None:
            raise RuntimeError(f"{name} does not run")
        return pid

    def restart_seconds(self, name: str, ready: Callable[[], bool]) -> float:
        """From the start of one of its processes until it is ready."""
        self._platform.process(name).stop()
        began = time.perf_counter()
        self._platform.process(name).start()
        wait_until(ready, name)
        seconds = time.perf_counter() - began
        self._platform.wait_until_health("healthy")
        return seconds

    def kill_and_start(self, name: str) -> None:
        """Ends one of its processes without a warning and starts it again."""
        self._platform.process(name).kill()
        self._platform.process(name).start()

    def _headers(self) -> dict[str, str]:
        if time.monotonic() - self._token_from > _TOKEN_GOOD_FOR:
            answer = httpx.post(
                f"{self._platform.endpoints.http}/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=self._credentials,
            ).raise_for_status()
            self._token, self._token_from = answer.json()["access_token"], time.monotonic()
        return {"authorization": f"Bearer {self._token}"}


def _generous_client(platform: Platform) -> tuple[str, str]:
    identity = platform.home.identity
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "gateway", "create-client", "--replace"),
            *("--clients-file", str(identity / "clients.yaml")),
            *("--pepper-file", str(identity / "pepper")),
            *("--client-id", "bench", "--tenant", "bench", "--scope", "models:predict"),
            *("--limit", str(_QUOTA), "--window", "60"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    # A running gateway reads its clients at its next start.
    platform.process("gateway").stop()
    platform.start("gateway")
    platform.wait_until_health("healthy")
    client = json.loads(done.stdout)
    return client["client_id"], client["client_secret"]


def of_living(process: psutil.Process, number: Callable[[psutil.Process], float]) -> float:
    """A number of a process; 0 where that has ended."""
    try:
        return number(process)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
