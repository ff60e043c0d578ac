"""LitServe, BentoML and MLServer as processes, each in an environment of its own."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil
from contestants import Contestant, of_living
from load import Plan
from peer_servers.text_model import Package, Settings

from testkit.platform import free_port

PEERS = ("litserve", "bentoml", "mlserver")
_ROOT = Path(__file__).resolve().parents[2]
_SERVERS = Path(__file__).resolve().parent / "peer_servers"
_READY_WITHIN = 120.0


class Peer(Contestant):
    """LitServe, BentoML or MLServer, in the environment of its own.

    Raises:
        RuntimeError: it did not come up; the message tells where its log is.
    """

    # It has nothing to do after its answers, and some settings poll for ever: it is stopped.
    quiet_within = 1.0

    def __init__(self, name: str, package: Package, settings: Settings, directory: Path) -> None:
        self.name = name
        self.settings = settings
        self._labels = package.labels
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        directory.mkdir(parents=True)
        self._log = directory / "log.txt"
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(directory),
            "PYTHONPATH": str(_SERVERS),
            "PYTHONUNBUFFERED": "1",
            "BENCH_PACKAGE": json.dumps(asdict(package)),
            "BENCH_SETTINGS": json.dumps(asdict(settings)),
            "BENTOML_HOME": str(directory / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                _command(name, settings, port, directory),
                cwd=directory,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Returns when it answers."""
        give_up = time.monotonic() + _READY_WITHIN
        while time.monotonic() < give_up and self._process.poll() is None:
            try:
                self.ask(["Good."])
                return
            except (httpx.HTTPError, KeyError):
                time.sleep(0.1)
        last = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{self.name} does not answer: {' | '.join(last)}")

    def single(self, texts: Sequence[str]) -> Plan:
        if self.name == "mlserver":
            return self._tensors([[text] for text in texts])
        waits = self.name == "bentoml" and self.settings.batch > 1
        bodies = [{"texts": [text]} if waits else {"text": text} for text in texts]
        return Plan(f"{self._url}/predict", [json.dumps(body) for body in bodies])

    def batches(self, groups: Sequence[Sequence[str]]) -> Plan:
        if self.name == "mlserver":
            return self._tensors(groups)
        path = "/predict" if self.name == "litserve" else "/predict/batch"
        return Plan(self._url + path, [json.dumps({"texts": group}) for group in groups])

    def positive(self, answer: Any) -> float:
        if self.name == "mlserver":
            return float(answer["outputs"][1]["data"][-1])
        one = answer[0] if isinstance(answer, list) else answer
        return float(one["probabilities"][self._labels[-1]])

    def processes(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def wake(self) -> None:
        self._send(signal.SIGCONT)

    def sleep(self) -> None:
        self._send(signal.SIGSTOP)

    def stop(self) -> None:
        """Ends it and all that it started."""
        everyone = self.processes()
        self._send(signal.SIGCONT)
        self._process.terminate()
        _, alive = psutil.wait_procs(everyone, timeout=3)
        for process in alive:
            of_living(process, lambda it: it.kill() or 0.0)
        self._process.wait()

    def _tensors(self, groups: Sequence[Sequence[str]]) -> Plan:
        bodies = [
            {"inputs": [{"name": "text", "shape": [len(g)], "datatype": "BYTES", "data": list(g)}]}
            for g in groups
        ]
        url = f"{self._url}/v2/models/sentiment/infer"
        return Plan(url, [json.dumps(body) for body in bodies])

    def _send(self, number: int) -> None:
        for process in self.processes():
            of_living(process, lambda it: it.send_signal(number) or 0.0)


def _command(name: str, settings: Settings, port: int, directory: Path) -> list[str]:
    programs = _ROOT / ".venvs" / f"peer-{name}" / "bin"
    if name == "litserve":
        return [str(programs / "python"), str(_SERVERS / "serve_with_litserve.py"), str(port)]
    if name == "bentoml":
        service = ("serve_with_bentoml:Sentiment", "--working-dir", str(_SERVERS))
        address = ("--host", "127.0.0.1", "--port", str(port))
        return [*_script(programs / "bentoml"), "serve", *service, *address]
    (directory / "settings.json").write_text(
        json.dumps(
            {
                "debug": False,
                "host": "127.0.0.1",
                "http_port": port,
                "grpc_port": free_port(),
                "metrics_endpoint": None,
                "parallel_workers": settings.workers,
                "gzip_enabled": False,
            }
        )
    )
    (directory / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "sentiment",
                "implementation": "serve_with_mlserver.Sentiment",
                "max_batch_size": settings.batch if settings.batch > 1 else 0,
                "max_batch_time": settings.window_ms / 1e3,
            }
        )
    )
    return [*_script(programs / "mlserver"), "start", str(directory)]


def _script(path: Path) -> list[str]:
    return [str(path.with_name("python")), str(path)]
