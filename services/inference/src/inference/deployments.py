"""Tells which versions take traffic, whenever that changes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from inference.model_repository import LoadedVersion, ModelRepository
from servicekit.event_stream import EventPublisher, EventStreamUnavailable
from weir.events.v1 import events_pb2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Deployment:
    loaded: LoadedVersion
    traffic_percent: int


class Deployments:
    """Publishes a ModelDeployed for a version that begins to take traffic, or another share of it.

    A version that takes no more is told of with a share of 0, if it was told of before.
    """

    def __init__(
        self,
        repository: ModelRepository,
        publisher: EventPublisher,
        *,
        stream: str,
        instance: str,
        new_id: Callable[[], UUID],
    ) -> None:
        self._repository = repository
        self._publisher = publisher
        self._stream = stream
        self._instance = instance
        self._new_id = new_id
        self._known: dict[tuple[str, str], _Deployment] = {}
        self._untold: asyncio.Queue[events_pb2.ModelDeployed] = asyncio.Queue()

    def note(self) -> None:
        """Compares what is served with what was told; forgets nothing while nobody listens."""
        now = {
            (status.name, version): _Deployment(loaded, status.versions[version].traffic_percent)
            for status in self._repository
            for version, loaded in status.loaded.items()
        }
        for key, before in self._known.items():
            if key not in now and before.traffic_percent:
                self._tell(_Deployment(before.loaded, 0), datetime.now(UTC))
        for key, deployment in now.items():
            told = self._known.get(key)
            if deployment.traffic_percent == (told.traffic_percent if told else 0) and (
                told is None or told.loaded is deployment.loaded
            ):
                continue
            # What was just loaded takes traffic from then on; a share changes now.
            is_new = told is None or told.loaded is not deployment.loaded
            moment = deployment.loaded.loaded_at if is_new else datetime.now(UTC)
            self._tell(deployment, moment)
        self._known = now

    async def publish(self) -> None:
        """Publishes what was noted, for ever; waits for the event stream as long as it takes."""
        while True:
            events = [await self._untold.get()]
            while not self._untold.empty():
                events.append(self._untold.get_nowait())
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(EventStreamUnavailable),
                wait=wait_exponential(0.5, max=30),
            ):
                with attempt:
                    await self._publisher.publish(self._stream, events)
            _log.info("deployments_announced", versions=len(events))

    def _tell(self, deployment: _Deployment, moment: datetime) -> None:
        manifest = deployment.loaded.package.manifest
        event = events_pb2.ModelDeployed(
            deployment_id=str(self._new_id()),
            model=manifest.name,
            model_version=manifest.version,
            manifest_sha256=deployment.loaded.package.manifest_sha256,
            instance=self._instance,
            traffic_percent=deployment.traffic_percent,
        )
        event.deployed_at.FromDatetime(moment)
        self._untold.put_nowait(event)
