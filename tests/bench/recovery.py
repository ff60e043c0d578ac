"""How soon inference is there: started anew, and killed under load."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import grpc
import httpx
import psutil
from contestants import Weir
from grpc_health.v1 import health_pb2, health_pb2_grpc
from load import Plan, Result, measured

from testkit.platform import wait_until

_RESTARTS = 3
_PATIENCE = 0.5
_LOAD, _BEFORE, _GIVE_UP = 16, 1.0, 60.0
"""Clients, seconds of their load before the kill, and seconds after which nothing will come."""


def starts(weir: Weir, address: str) -> dict[str, float]:
    """What inference and the gateway hold in memory, and seconds until a started inference serves.

    Args:
        address: of inference's gRPC server.
    """
    memory = {
        f"{name}_mib": psutil.Process(weir.pid(name)).memory_info().rss / 2**20
        for name in ("inference", "gateway")
    }
    seconds = [
        weir.restart_seconds("inference", lambda: _serves(address)) for _ in range(_RESTARTS)
    ]
    return {"cold_start_seconds": median(seconds), **memory}


def recovery(weir: Weir, texts: Sequence[str]) -> dict[str, Any]:
    """Kills inference under load and starts it at once, as a supervisor does.

    Raises:
        TimeoutError: it did not come back.
    """
    plan = replace(weir.single(texts), concurrency=_LOAD, warm_up=0.0, seconds=_BEFORE + 4)
    results: list[Result] = []
    load = threading.Thread(target=lambda: results.append(measured(plan)))
    load.start()
    time.sleep(_BEFORE)
    # Made before and asked now and then: a client made for each try is a core's whole work.
    headers = {"content-type": "application/json", **plan.headers}
    with httpx.Client(headers=headers, timeout=_GIVE_UP) as client:
        killed = time.perf_counter()
        weir.kill_and_start("inference")
        wait_until(lambda: _answers(client, plan), "inference", _GIVE_UP)
        seconds = time.perf_counter() - killed
    load.join()
    statuses = results[0].statuses if results else {}
    return {"recovery_seconds": seconds, "recovery_statuses": statuses}


def _answers(client: httpx.Client, plan: Plan) -> bool:
    try:
        return client.post(plan.url, content=plan.bodies[0]).is_success
    except httpx.HTTPError:
        return False


def _serves(address: str) -> bool:
    # On a connection of its own: a kept one waits longer after each failure.
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_PATIENCE)
        except grpc.RpcError:
            return False
    serving: bool = answer.status == health_pb2.HealthCheckResponse.SERVING
    return serving
