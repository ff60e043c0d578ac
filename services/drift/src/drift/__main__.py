"""`python -m drift`: settings → Redis and references → monitor and reporter → server."""

import argparse
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from opentelemetry.trace import Tracer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from drift import incident_grpc_api, reference_grpc_api, webhook
from drift.availability import Availability
from drift.break_watch import BreakWatch
from drift.decisions import Decisions
from drift.grpc_api import SCOPES, SERVICE, DriftServicer
from drift.history_store import HistoryStore
from drift.incident_desk import IncidentDesk
from drift.incident_gauges import IncidentGauges
from drift.leases import LeaseKeeper, Work
from drift.measurement import Measurer
from drift.model_versions import ModelVersions
from drift.monitor import BATCH_SIZE, CONSUMER, GROUP, Monitor
from drift.observer import Observer
from drift.range_comparison import RangeComparer
from drift.reference_desk import ReferenceDesk
from drift.reference_repository import ReferenceRepository
from drift.references_in_force import ReferencesInForce
from drift.report_document import ReportComposer
from drift.reporter import Reporter
from drift.settings import Settings
from drift.signal_power import Planner
from drift.state_store import StateStore
from drift.verdict import SmallestEffects
from drift.version_state import WindowSize
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.event_spans import EventSpans
from servicekit.event_stream import LONGEST_BLOCK, EventConsumer
from servicekit.garbage import keep_what_is_there
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.lifecycle import every, run_until_stopped
from servicekit.redis_client import open_redis
from servicekit.revocation_follower import BLOCK, RevocationFollower
from servicekit.revocations import RevocationList
from servicekit.span_names import OBSERVE_EVENT
from servicekit.startup import describe_settings, run_service
from servicekit.telemetry import configure_tracing, serve_metrics
from weir.drift.v1 import drift_pb2_grpc, incidents_pb2_grpc, references_pb2_grpc
from weir.events.v1.events_pb2 import TokensRevoked

_HEALTH_INTERVAL = 1.0
_OBSERVE_INTERVAL = 10.0


Take = Callable[..., Awaitable[None]]


class CannotStart(Exception):
    """A setting has the right form and cannot be used; the message names it."""


async def serve(settings: Settings) -> None:
    """Serves until a stop signal.

    Raises:
        CannotStart: a setting cannot be used.
        OSError: an address cannot be listened on.
    """
    if not settings.model_repository.is_dir():
        raise CannotStart(f"WEIR_MODEL_REPOSITORY: {settings.model_repository} is no directory")
    async with AsyncExitStack() as stack:
        tracer_provider = configure_tracing("drift", settings)
        stack.callback(tracer_provider.shutdown)
        tracer = tracer_provider.get_tracer("drift")
        redis = _open_redis(settings, settings.events_timeout)
        stack.push_async_callback(redis.aclose)
        reading_redis = _open_redis(settings, settings.events_timeout + max(LONGEST_BLOCK, BLOCK))
        stack.push_async_callback(reading_redis.aclose)
        revocations = RevocationList(complete=False)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=2.0))

        store = StateStore(redis)
        references = ReferencesInForce(store, ReferenceRepository(settings.model_repository))
        minimum_rows = settings.drift_minimum_rows
        history = HistoryStore(redis)
        versions = ModelVersions(store, references)
        smallest = SmallestEffects(
            number=settings.drift_smallest_number,
            ratio=settings.drift_smallest_ratio,
            category=settings.drift_smallest_category,
            vector=settings.drift_smallest_vector,
        )
        q = settings.drift_false_discovery_rate
        decisions = Decisions(minimum_rows=minimum_rows, q=q, smallest=smallest)
        window_size = WindowSize(
            settings.drift_window_rows, timedelta(seconds=settings.drift_window_seconds)
        )
        monitor = Monitor(
            store,
            Measurer(references, decisions, minimum_rows=minimum_rows, clock=_now),
            BreakWatch(settings.drift_run_length),
            measurements_stream=settings.measurements_stream,
            incidents_stream=settings.incidents_stream,
            window_size=window_size,
            kept_versions=settings.drift_kept_versions,
            kept_windows=settings.drift_kept_windows,
            tenants=settings.drift_tenants,
            kept_tenant_windows=settings.drift_tenant_kept_windows,
            clock=_now,
        )
        reporter = Reporter(
            history,
            versions,
            ReportComposer(decisions, minimum_rows=minimum_rows),
            minimum_rows=minimum_rows,
            window_size=window_size,
            clock=_now,
        )
        comparer = RangeComparer(
            history,
            versions,
            # Their references are used once: they must not push out those of models.
            ReportComposer(
                Decisions(minimum_rows=minimum_rows, q=q, smallest=smallest),
                minimum_rows=minimum_rows,
            ),
            minimum_rows=minimum_rows,
            clock=_now,
        )
        servicer = DriftServicer(
            reporter,
            comparer,
            versions,
            Planner(minimum_rows=minimum_rows, q=q, smallest=smallest),
        )
        streams = (*settings.predictions_streams, settings.feedback_stream)
        observer = Observer(
            store,
            references,
            streams=streams,
            minimum_rows=minimum_rows,
            window_size=window_size,
            clock=time.time,
        )

        server = GrpcServer(
            settings,
            verifier=AccessTokenVerifier(
                RemoteKeySource(settings.jwks_url, http),
                issuer=settings.issuer,
                audience=settings.audience,
                further_audiences=settings.further_audiences.split(","),
                revocations=revocations,
            ),
            scopes=SCOPES | incident_grpc_api.SCOPES | reference_grpc_api.SCOPES,
            tracer_provider=tracer_provider,
            held=True,
        )
        drift_pb2_grpc.add_DriftServiceServicer_to_server(servicer, server.grpc)
        server.expose(SERVICE)
        desk = IncidentDesk(store, incidents_stream=settings.incidents_stream, clock=_now)
        incidents_pb2_grpc.add_IncidentServiceServicer_to_server(
            incident_grpc_api.IncidentServicer(desk), server.grpc
        )
        server.expose(incident_grpc_api.SERVICE)
        reference_desk = ReferenceDesk(
            store,
            history,
            versions,
            references,
            minimum_rows=minimum_rows,
            incidents_stream=settings.incidents_stream,
            clock=_now,
            make_id=new_id,
        )
        references_pb2_grpc.add_ReferenceServiceServicer_to_server(
            reference_grpc_api.ReferenceServicer(reference_desk), server.grpc
        )
        server.expose(reference_grpc_api.SERVICE)
        follower = RevocationFollower(
            reading_redis,
            revocations,
            stream=settings.revocations_stream,
            message=TokensRevoked,
            first_read=server.release,
        )
        _serve_metrics(settings)
        keep_what_is_there()
        await stack.enter_async_context(server)
        await run_until_stopped(
            follower.run(),
            LeaseKeeper(
                redis,
                _jobs(settings, reading_redis, monitor, tracer)
                | await _notifying(settings, redis, reading_redis, http),
                holder=f"{settings.instance}:{new_id()}",
                seconds=settings.drift_lease_seconds,
            ).run(),
            every(_HEALTH_INTERVAL, Availability(store, server).check),
            every(_OBSERVE_INTERVAL, observer.observe),
            every(_OBSERVE_INTERVAL, IncidentGauges(store, clock=_now).observe),
        )


def _jobs(settings: Settings, redis: Redis, monitor: Monitor, tracer: Tracer) -> dict[str, Work]:
    """What replicas share: each stream is consumed by one of them."""

    def consuming(stream: str, take: Take) -> Work:
        spans = EventSpans(tracer, OBSERVE_EVENT, stream)
        return lambda lease: _consumer(settings, redis, stream).run(
            spans.around(partial(take, stream, lease=lease))
        )

    return {
        **{
            stream: consuming(stream, monitor.take_predictions)
            for stream in settings.predictions_streams
        },
        settings.feedback_stream: consuming(settings.feedback_stream, monitor.take_feedback),
    }


async def _notifying(
    settings: Settings, redis: Redis, reading_redis: Redis, http: httpx.AsyncClient
) -> dict[str, Work]:
    """Telling the webhook, where there is one."""
    if not settings.drift_webhook_url:
        with suppress(RedisError, OSError):
            # A group that nobody reads would keep the stream from being trimmed.
            await redis.xgroup_destroy(settings.incidents_stream, webhook.GROUP)
        return {}
    told = webhook.Webhook(
        http,
        settings.drift_webhook_url,
        _secret(settings.drift_webhook_secret_file),
        give_up_after=settings.drift_webhook_give_up_seconds,
        clock=time.time,
    )
    # One at a time: what was delivered is not told again when the next one fails.
    consumer = EventConsumer(
        reading_redis,
        stream=settings.incidents_stream,
        group=webhook.GROUP,
        consumer=webhook.CONSUMER,
        batch_size=1,
    )
    return {"webhook": lambda lease: consumer.run(told.deliver)}


def _secret(file: Path | None) -> bytes:
    if file is None:
        return b""
    try:
        secret = file.read_bytes().strip()
    except OSError:
        secret = b""
    if not secret:
        raise CannotStart("WEIR_DRIFT_WEBHOOK_SECRET_FILE holds no secret")
    return secret


def _consumer(settings: Settings, redis: Redis, stream: str) -> EventConsumer:
    return EventConsumer(
        redis,
        stream=stream,
        group=GROUP,
        consumer=CONSUMER,
        batch_size=BATCH_SIZE,
        gather=settings.drift_store_interval,
    )


def _open_redis(settings: Settings, timeout: float) -> Redis:
    try:
        return open_redis(settings.events_redis_url.get_secret_value(), timeout=timeout)
    except ValueError:
        # The address may hold a password: it is not repeated.
        raise CannotStart("WEIR_EVENTS_REDIS_URL is no address of a Redis") from None


def _serve_metrics(settings: Settings) -> None:
    try:
        serve_metrics(settings.metrics_address)
    except (ValueError, OverflowError):
        raise CannotStart("WEIR_METRICS_ADDRESS is not host:port") from None


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Runs the service; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="drift",
        description="Compares what models see and say with their references.",
        epilog=describe_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.parse_args()
    return run_service("drift", Settings, serve, expected=(CannotStart,))


if __name__ == "__main__":
    sys.exit(main())
