"""Load that covers the platform: predictions, feedback, questions, tokens, direct gRPC calls."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.sdk.trace import TracerProvider

from chaos.clients import Client, Ledger
from lifecycle.cluster import Cluster
from servicekit.grpc_client import open_channel
from testkit.platform import wait_until
from weir.drift.v1 import drift_pb2, drift_pb2_grpc
from weir.inference.v1 import inference_pb2, inference_pb2_grpc
from weir.predictions.v1 import predictions_pb2, predictions_pb2_grpc

_PATIENCE = 120.0
_TIMEOUT = 15.0
_KEPT = 300.0
_NOBODYS = "unwatched"
"""A model that drift does not know: it answers so at once. A report of one that it watches takes it
seconds of work, whose deadlines would hide what is looked for here."""
_QUESTIONS = {
    "/v1/models": 200,
    "/v1/predictions?limit=5": 200,
    "/v1/stats": 200,
    f"/v1/drift/models/{_NOBODYS}/reports/latest": 404,
}
"""With the status of the right answer."""
_EARLY = "feedback: 404"
"""On a prediction that the log has not written yet: what a client is told to try again."""


@dataclass
class Load:
    """What became of every request since the start."""

    ledger: Ledger
    answered: Counter[str] = field(default_factory=Counter)
    """Questions, tokens and direct calls, by what was asked."""
    broken: list[str] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    asking: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All that were made and have ended."""
        ledger = self.ledger
        refused = len(ledger.refusals) + len(self.broken)
        return len(ledger.answers) + len(ledger.feedback) + self.answered.total() + refused

    @property
    def failures(self) -> list[str]:
        """Those that did not get what they asked for."""
        refused = [
            f"{refusal.reason} {refusal.fault}".strip()
            for refusal in self.ledger.refusals
            if not refusal.reason.startswith(_EARLY)
        ]
        return refused + self.broken

    @property
    def early(self) -> int:
        """Opinions on predictions that were not written yet."""
        return len(self.ledger.refusals) + len(self.broken) - len(self.failures)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Adds somebody who asks until `stop`."""
        self.asking.append(asyncio.create_task(work))

    async def end(self) -> None:
        """Asks no more, and returns when every request has ended."""
        self.stop.set()
        await asyncio.gather(*self.asking)

    async def until_more(self, requests: int) -> None:
        """Returns when so many more requests have ended, or one has failed."""
        goal = self.requests + requests
        await asyncio.to_thread(
            wait_until,
            lambda: self.requests >= goal or bool(self.failures),
            f"{requests} more requests",
            max(_PATIENCE, requests / 10),
        )


@asynccontextmanager
async def under_load(cluster: Cluster, file: Path, *, clients: int) -> AsyncIterator[Load]:
    """Requests go on until the context ends.

    Args:
        file: of the ledger.
        clients: that predict; half as many again ask questions, over HTTP and gRPC.
    """
    load = Load(Ledger(file))
    tokens = Tokens(cluster)
    try:
        for number in range(clients):
            client = Client(
                f"client {number}",
                cluster.endpoints.http,
                tokens.credentials,
                load.ledger,
                seed=number,
                pause=0.0,
                batches=0.02,
                opinions=0.05,
            )
            load.begin(client.run(load.stop))
        for _ in range(max(clients // 4, 1)):
            load.begin(_ask_over_http(load, cluster, tokens))
        load.begin(_ask_over_grpc(load, cluster, tokens))
        yield load
    finally:
        await load.end()


class Tokens:
    """Access tokens of the demo client."""

    def __init__(self, cluster: Cluster) -> None:
        content = json.loads(cluster.home.client_file.read_text())
        self.credentials: tuple[str, str] = content["client_id"], content["client_secret"]
        self._address = cluster.endpoints.http
        self._kept = ""
        self._kept_until = 0.0

    async def fetch(self) -> str:
        """A new one.

        Raises:
            httpx.HTTPError: there was none to be had.
        """
        async with httpx.AsyncClient(base_url=self._address, timeout=_TIMEOUT) as http:
            answer = await http.post(
                "/oauth2/token", data={"grant_type": "client_credentials"}, auth=self.credentials
            )
            return str(answer.raise_for_status().json()["access_token"])

    async def keep(self) -> str:
        """The same one for half of its life, whatever becomes of the key that signed it."""
        if time.monotonic() > self._kept_until:
            self._kept, self._kept_until = await self.fetch(), time.monotonic() + _KEPT
        return self._kept


async def _ask_over_http(load: Load, cluster: Cluster, tokens: Tokens) -> None:
    """Each round with a token of its own."""
    async with httpx.AsyncClient(base_url=cluster.endpoints.http, timeout=_TIMEOUT) as http:
        while not load.stop.is_set():
            try:
                headers = {"authorization": f"Bearer {await tokens.fetch()}"}
                load.answered["token"] += 1
                for path, right in _QUESTIONS.items():
                    answer = await http.get(path, headers=headers)
                    if answer.status_code == right:
                        load.answered[path.partition("?")[0]] += 1
                    else:
                        load.broken.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            except httpx.HTTPError as error:
                load.broken.append(f"{type(error).__name__}: {error}")


async def _ask_over_grpc(load: Load, cluster: Cluster, tokens: Tokens) -> None:
    """An internal caller of each service."""
    endpoints = cluster.endpoints
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    channels = [
        open_channel(
            target, token=tokens.keep, default_timeout=10.0, tracer_provider=tracer_provider
        )
        for target in (endpoints.inference, endpoints.prediction_log, endpoints.drift)
    ]
    inference, log, drift = channels
    ask_inference: Any = inference_pb2_grpc.InferenceServiceStub(inference)
    ask_log: Any = predictions_pb2_grpc.PredictionLogServiceStub(log)
    ask_drift: Any = drift_pb2_grpc.DriftServiceStub(drift)
    questions: dict[str, Callable[[], Awaitable[Any]]] = {
        "ListModels": lambda: ask_inference.ListModels(inference_pb2.ListModelsRequest()),
        "GetStats": lambda: ask_log.GetStats(predictions_pb2.GetStatsRequest()),
        "GetReport": lambda: ask_drift.GetReport(drift_pb2.GetReportRequest(model=_NOBODYS)),
    }
    for name, ask in cycle(questions.items()):
        if load.stop.is_set():
            break
        try:
            await ask()
            load.answered[name] += 1
        except grpc.aio.AioRpcError as error:
            if name == "GetReport" and error.code() is grpc.StatusCode.NOT_FOUND:
                load.answered[name] += 1
                continue
            load.broken.append(f"{name}: {error.code().name} {error.details()}")
    await asyncio.gather(*(channel.close() for channel in channels))
