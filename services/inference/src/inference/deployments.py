"""Tells that model versions were loaded."""

from collections.abc import Callable, Iterable
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from inference.model_repository import LoadedVersion
from servicekit.event_stream import EventPublisher, EventStreamUnavailable
from weir.events.v1 import events_pb2

_log = structlog.get_logger(__name__)


async def announce(
    versions: Iterable[LoadedVersion],
    publisher: EventPublisher,
    *,
    stream: str,
    instance: str,
    new_id: Callable[[], UUID],
) -> None:
    """Publishes one ModelDeployed per version; waits for the event stream as long as it takes."""
    events = [_event(version, instance, new_id()) for version in versions]
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(EventStreamUnavailable), wait=wait_exponential(0.5, max=30)
    ):
        with attempt:
            await publisher.publish(stream, events)
    _log.info("deployments_announced", versions=len(events))


def _event(loaded: LoadedVersion, instance: str, identifier: UUID) -> events_pb2.ModelDeployed:
    manifest = loaded.package.manifest
    event = events_pb2.ModelDeployed(
        deployment_id=str(identifier),
        model=manifest.name,
        model_version=manifest.version,
        manifest_sha256=loaded.package.manifest_sha256,
        instance=instance,
        traffic_percent=loaded.traffic_percent,
    )
    event.deployed_at.FromDatetime(loaded.loaded_at)
    return event
