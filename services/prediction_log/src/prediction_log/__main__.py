"""`python -m prediction_log [COMMAND]`: settings → database → consumers → server."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from prediction_log import privacy_grpc_api
from prediction_log.appending import Appender
from prediction_log.audit_checkpoints import CheckpointKeeper
from prediction_log.audit_commands import add_audit_commands
from prediction_log.audit_facts import AuditFacts
from prediction_log.audit_signing import load_signer
from prediction_log.database import Database, database_url
from prediction_log.dead_letter_commands import add_dead_letter_commands
from prediction_log.erased_letters import ErasedLetters
from prediction_log.erasure_work import ErasureWork, StreamTails
from prediction_log.erasures import Erasures
from prediction_log.event_decoding import (
    Decode,
    decode_audit,
    decode_deployment,
    decode_feedback,
    decode_measurement,
    decode_prediction,
)
from prediction_log.feedback import FeedbackDesk
from prediction_log.feedback_queries import FeedbackQueries
from prediction_log.grants import RoleMissing
from prediction_log.grpc_api import SCOPES, SERVICE, PredictionLogServicer
from prediction_log.incident_decoding import decode_incident
from prediction_log.input_reader import InputReader
from prediction_log.insert_spans import InsertSpans
from prediction_log.key_commands import add_key_commands
from prediction_log.key_files import KeyFileInvalid
from prediction_log.migrate import DatabaseAway, MigrationBlocked, schema_revisions, upgrade
from prediction_log.partitions import keep_partitions
from prediction_log.prediction_export import CONNECTIONS, PredictionExport
from prediction_log.prediction_queries import PredictionQueries
from prediction_log.prediction_stats import PredictionStatistics
from prediction_log.privacy_grpc_api import PrivacyServicer
from prediction_log.privacy_keys import PrivacyKeys, load_privacy_keys
from prediction_log.private_parts import PrivateParts
from prediction_log.record_store import RecordStore, record_writers
from prediction_log.recorder import Recorder
from prediction_log.retention import Retention
from prediction_log.retention_classes import UnknownClassWatch
from prediction_log.retention_command import add_retention_command
from prediction_log.retention_store import RetentionStore
from prediction_log.schema_watch import SchemaWatch
from prediction_log.settings import MigrationSettings, Settings
from prediction_log.stats_series import StatsSeries
from prediction_log.stream_rewind import add_rewind_command
from prediction_log.stream_watch import StreamWatch
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.event_stream import EventConsumer, EventPublisher
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id, new_id_at
from servicekit.lifecycle import every, run_until_stopped
from servicekit.redis_client import open_redis
from servicekit.startup import describe_settings, run_service
from servicekit.telemetry import configure_tracing, serve_metrics
from weir.predictions.v1 import predictions_pb2_grpc, privacy_pb2_grpc

_log = structlog.get_logger(__name__)

_NAME = "prediction_log"
_MIGRATE_WAIT = 30.0
_ISSUER_TIMEOUT = 2.0
_CHORES = 6
"""Connections for looking at the schema, partitions, retention, signing the audit trail, and taking
and carrying out erasures."""
_AUDIT_LOOK_INTERVAL = 5.0


async def serve(settings: Settings) -> None:
    """Serves until a stop signal.

    Raises:
        OSError: an address cannot be listened on, or a file of keys is not there.
        KeyFileInvalid: a file of keys cannot be used.
    """
    _collect_garbage_seldom()
    keys = load_privacy_keys(settings)
    tracer_provider = configure_tracing(_NAME, settings)
    decoders = _decoders(settings)
    reading = _database(settings, settings.database_pool_size, settings.database_query_timeout)
    exporting = _database(
        settings, settings.export_calls * CONNECTIONS, settings.database_query_timeout
    )
    writing = _database(settings, len(decoders) + _CHORES, settings.database_write_timeout)
    checkpoints = _checkpoints(settings, writing)
    redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
    )
    queries = PredictionQueries(reading)
    history = FeedbackQueries(reading)
    publisher = EventPublisher(redis, reserve=settings.events_reserve)
    audit = AuditFacts(publisher, settings.audit_stream, new_id)
    servicer = PredictionLogServicer(
        queries,
        PredictionStatistics(reading),
        StatsSeries(reading, now=_now),
        PredictionExport(exporting, at_most=settings.export_calls, now=_now),
        FeedbackDesk(queries, history, publisher, settings.feedback_stream, new_id),
        history,
        Appender(
            publisher,
            settings.predictions_streams,
            new_id_at,
            max_calls=settings.append_calls,
            longest_wait=settings.append_idle_timeout,
        ),
        InputReader(reading, keys.subject_keys, audit),
        keys.pseudonyms,
    )
    async with httpx.AsyncClient(timeout=_ISSUER_TIMEOUT) as http:
        server = GrpcServer(
            settings,
            verifier=AccessTokenVerifier(
                RemoteKeySource(settings.jwks_url, http),
                issuer=settings.issuer,
                audience=settings.audience,
            ),
            scopes=SCOPES | privacy_grpc_api.SCOPES,
            tracer_provider=tracer_provider,
        )
        predictions_pb2_grpc.add_PredictionLogServiceServicer_to_server(servicer, server.grpc)
        privacy = PrivacyServicer(Erasures(writing, audit, new_id), keys.pseudonyms)
        privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(privacy, server.grpc)
        server.expose(SERVICE)
        server.expose(privacy_grpc_api.SERVICE)
        watch = SchemaWatch(writing, schema_revisions(), server.set_serving)
        serve_metrics(settings.metrics_address)
        async with server:
            await run_until_stopped(
                every(settings.database_check_interval, watch.look),
                *_work(settings, watch, redis, writing, decoders, keys, tracer_provider),
                *_signing(watch, checkpoints),
                *_erasing(settings, watch, redis, writing, keys),
            )
            if checkpoints is not None:
                await checkpoints.finish()
    await redis.aclose()
    await reading.close()
    await exporting.close()
    await writing.close()
    tracer_provider.shutdown()


def _collect_garbage_seldom() -> None:
    """Spares the consumers a fifth of their time.

    What a batch is made of goes when its references do. Looking for cycles in it, and again and
    again in all that was imported, would find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def migrate(settings: MigrationSettings, role: str, *, make_role: bool) -> None:
    """Brings the database to the newest schema and gives the service's role what it needs.

    Args:
        role: instead of the one in the settings; empty for that one.
        make_role: makes it where it is missing.

    Raises:
        RoleMissing: there is no such role.
        DatabaseAway: it cannot be reached.
        MigrationBlocked: somebody held what must change for too long.
    """
    url = database_url(settings.database_url.get_secret_value())
    role = role or settings.service_role
    await upgrade(url, wait=_MIGRATE_WAIT, service_role=role, make_role=make_role)
    _log.info("migrated", revision=schema_revisions()[-1], granted_to=role or None)


def _work(
    settings: Settings,
    watch: SchemaWatch,
    redis: Redis,
    database: Database,
    decoders: Mapping[str, Decode],
    keys: PrivacyKeys,
    tracer_provider: TracerProvider,
) -> list[Coroutine[Any, Any, None]]:
    """The consumers and the chores; they begin when the schema is there."""
    store = RecordStore(database, record_writers(keys.subject_keys))
    private_parts = PrivateParts(keys.opener)
    tracer = tracer_provider.get_tracer(_NAME)
    stream_watch = StreamWatch(redis, list(decoders), settings.consumer_group)
    partitioned = asyncio.Event()

    async def look_after_partitions() -> None:
        await keep_partitions(
            database, datetime.now(UTC), settings.partitions_ahead, settings.classes()
        )
        partitioned.set()

    async def consume(stream: str, decode: Decode) -> None:
        consumer = EventConsumer(
            redis,
            stream=stream,
            group=settings.consumer_group,
            consumer=settings.instance,
            batch_size=settings.batch_size,
            batch_bytes=settings.batch_bytes,
            gather=settings.batch_gather,
            claim_after=settings.claim_after,
        )
        await partitioned.wait()
        recorder = Recorder(stream, decode, store, InsertSpans(tracer, stream), private_parts)
        await consumer.run_ahead(recorder.prepare, recorder.write)

    async def keep_partitions_made() -> None:
        await watch.ready.wait()
        await every(settings.partition_interval, look_after_partitions)

    async def keep_retention() -> None:
        await partitioned.wait()
        retention = Retention(
            RetentionStore(database, settings.retention_batch),
            settings.classes(),
            settings.dead_letter_days,
        )
        await every(settings.retention_interval, retention.look)

    return [
        keep_partitions_made(),
        keep_retention(),
        every(settings.trim_interval, stream_watch.look),
        *(consume(stream, decode) for stream, decode in decoders.items()),
    ]


def _erasing(
    settings: Settings, watch: SchemaWatch, redis: Redis, database: Database, keys: PrivacyKeys
) -> list[Coroutine[Any, Any, None]]:
    if keys.opener is None:
        return []
    work = ErasureWork(
        database,
        StreamTails(redis, [*settings.predictions_streams, settings.feedback_stream]),
        ErasedLetters(database, keys.opener),
        batch=settings.erasure_batch,
        grace=settings.erasure_grace,
    )

    async def erase() -> None:
        await watch.ready.wait()
        await every(settings.erasure_interval, work.look)

    return [erase()]


def _checkpoints(settings: Settings, database: Database) -> CheckpointKeeper | None:
    if settings.audit_signing_key_file is None:
        return None
    return CheckpointKeeper(
        database,
        load_signer(settings.audit_signing_key_file),
        batches=settings.audit_checkpoint_batches,
        interval=settings.audit_checkpoint_interval,
    )


def _signing(
    watch: SchemaWatch, checkpoints: CheckpointKeeper | None
) -> list[Coroutine[Any, Any, None]]:
    async def sign() -> None:
        if checkpoints is None:
            _log.info("audit_trail_unsigned", remedy="set WEIR_AUDIT_SIGNING_KEY_FILE")
            return
        await watch.ready.wait()
        await every(_AUDIT_LOOK_INTERVAL, checkpoints.look)

    return [sign()]


def _decoders(settings: Settings) -> dict[str, Decode]:
    return {
        **dict.fromkeys(
            settings.predictions_streams, UnknownClassWatch(decode_prediction, settings.classes())
        ),
        settings.feedback_stream: decode_feedback,
        settings.audit_stream: decode_audit,
        settings.deployments_stream: decode_deployment,
        settings.measurements_stream: decode_measurement,
        settings.incidents_stream: decode_incident,
    }


def _now() -> datetime:
    return datetime.now(UTC)


def _database(settings: Settings, connections: int, statement_timeout: float) -> Database:
    return Database(
        database_url(settings.database_url.get_secret_value()),
        pool_size=connections,
        pool_timeout=settings.database_pool_timeout,
        connect_timeout=settings.database_connect_timeout,
        statement_timeout=statement_timeout,
        statement_cache_size=settings.database_statement_cache_size,
    )


def main() -> int:
    """Runs a command; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Writes every event to PostgreSQL and answers for the predictions.",
        epilog=describe_settings(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="command")
    parser.set_defaults(run=_serve)
    commands.add_parser("serve", help="serve until stopped; the default").set_defaults(run=_serve)
    _add_migrate(commands)
    add_key_commands(commands)
    add_audit_commands(commands)
    add_dead_letter_commands(commands, _decoders)
    add_retention_command(commands)
    add_rewind_command(commands, _decoders)
    arguments = parser.parse_args()
    code: int = arguments.run(arguments)
    return code


def _serve(_: argparse.Namespace) -> int:
    return run_service(_NAME, Settings, serve, expected=(KeyFileInvalid,))


def _add_migrate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "migrate",
        help="bring the database to the newest schema",
        description="WEIR_DATABASE_URL is that of the tables' owner. May be run again at any time, "
        "while the service works.",
    )
    command.add_argument(
        "--grant-to", default="", metavar="ROLE", help="the service's role: WEIR_SERVICE_ROLE"
    )
    command.add_argument(
        "--make-role",
        action="store_true",
        help="make the role, without a password, where it is missing",
    )
    command.set_defaults(run=_migrate)


def _migrate(arguments: argparse.Namespace) -> int:
    async def run(settings: MigrationSettings) -> None:
        await migrate(settings, arguments.grant_to, make_role=arguments.make_role)

    expected = (DatabaseAway, MigrationBlocked, RoleMissing)
    return run_service(_NAME, MigrationSettings, run, expected=expected)


if __name__ == "__main__":
    sys.exit(main())
