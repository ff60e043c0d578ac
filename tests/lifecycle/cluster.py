"""The platform as a cluster runs it: replicas behind DNS and a balancer, on one machine."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lifecycle.balancer import running_balancer
from lifecycle.deployment import Deployment, answers_ready, says_serving
from testkit.dns import FakeDns, running_dns
from testkit.platform import free_port, wait_until
from weir_local.home import Home, locked_home
from weir_local.identity import Identity, ensure_identity
from weir_local.platform_parts import Endpoints, endpoints_of, service_parts, store_parts
from weir_local.probes import read_health
from weir_local.process import ManagedProcess, ProcessSpec

HEALTH = {
    "inference": "weir.inference.v1.InferenceService",
    "prediction_log": "weir.predictions.v1.PredictionLogService",
    "drift": "weir.drift.v1.DriftService",
}
"""What the chart's readiness probes ask for."""
REPLICAS = {"gateway": 2, "inference": 2, "prediction_log": 2, "drift": 1}
"""As many as the chart runs by default."""


@dataclass(frozen=True)
class Cluster:
    """Its deployments by service."""

    home: Home
    endpoints: Endpoints
    identity: Identity
    deployments: Mapping[str, Deployment]
    migrations: ProcessSpec


@asynccontextmanager
async def running_cluster(
    home: Path, models: Path, replicas: Mapping[str, int] = REPLICAS
) -> AsyncIterator[Cluster]:
    """A cluster in a home of its own; healthy when it is handed out."""
    http_port, grpc_port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        locked = stack.enter_context(locked_home(home))
        dns = stack.enter_context(running_dns())
        balancer = await stack.enter_async_context(running_balancer(http_port))
        endpoints = replace(
            endpoints_of(locked, http_port),
            **{service: dns.target(_name(service), grpc_port) for service in HEALTH},
        )
        identity = await asyncio.to_thread(ensure_identity, locked, endpoints.http)
        stores = [ManagedProcess(part.spec) for part in store_parts(locked)]
        for store in stores:
            stack.callback(store.stop)
            store.start()
        for store in stores:
            await asyncio.to_thread(wait_until, store.spec.ready, store.spec.name)
        specs = {
            part.spec.name: part.spec
            for part in service_parts(locked, endpoints, identity, models=models, port=http_port)
        }
        deployments = {
            service: _of_grpc(specs[service], service, dns, grpc_port) for service in HEALTH
        }
        deployments["gateway"] = Deployment(
            specs["gateway"],
            lambda address: {"WEIR_HTTP_HOST": address},
            lambda address: answers_ready(f"http://{address}:{http_port}"),
            balancer.publish,
        )
        cluster = Cluster(locked, endpoints, identity, deployments, specs["migrations"])
        for deployment in deployments.values():
            stack.callback(deployment.stop_all)
        await run_once(cluster.migrations)
        await _start_all(cluster, replicas)
        yield cluster


async def run_once(spec: ProcessSpec) -> None:
    """Runs a program to its end.

    Raises:
        RuntimeError: it failed.
    """
    process = ManagedProcess(spec)
    process.start()
    await asyncio.to_thread(wait_until, lambda: process.exit_code is not None, spec.name)
    if process.exit_code != 0:
        raise RuntimeError(f"{spec.name} failed:\n{spec.log_file.read_text()[-2000:]}")


async def _start_all(cluster: Cluster, replicas: Mapping[str, int]) -> None:
    # Services are ready when they could read the gateway's keys' revocations; a gateway is ready
    # when inference is: so all begin at the same time.
    async def start(service: str) -> None:
        for _ in range(replicas[service]):
            await cluster.deployments[service].start()

    await asyncio.gather(*map(start, cluster.deployments))
    await asyncio.to_thread(
        wait_until, lambda: read_health(cluster.endpoints.http).status == "healthy", "healthy"
    )


def _of_grpc(spec: ProcessSpec, service: str, dns: FakeDns, port: int) -> Deployment:
    return Deployment(
        spec,
        lambda address: {"WEIR_GRPC_ADDRESS": f"{address}:{port}"},
        lambda address: says_serving(f"{address}:{port}", HEALTH[service]),
        partial(dns.publish, _name(service)),
    )


def _name(service: str) -> str:
    return f"{service.replace('_', '-')}.weir.test"
