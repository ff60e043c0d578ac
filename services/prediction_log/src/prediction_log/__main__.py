"""`python -m prediction_log [COMMAND]`: settings → database → consumers → server."""

import argparse
import sys
from datetime import UTC, datetime

import httpx
import structlog

from prediction_log import audit_grpc_api, privacy_grpc_api
from prediction_log.appending import Appender
from prediction_log.audit_checkpoints import CheckpointKeeper
from prediction_log.audit_commands import add_audit_commands
from prediction_log.audit_facts import AuditFacts
from prediction_log.audit_grpc_api import AuditServicer
from prediction_log.audit_queries import AuditQueries
from prediction_log.audit_retention import AuditRetention
from prediction_log.audit_signing import AuditSigner, load_signer
from prediction_log.background_work import consuming, decoders_of, erasing, keeping_audit
from prediction_log.database import Database, database_url
from prediction_log.dead_letter_commands import add_dead_letter_commands
from prediction_log.erasures import Erasures
from prediction_log.feedback import FeedbackDesk
from prediction_log.feedback_queries import FeedbackQueries
from prediction_log.grpc_api import SCOPES, SERVICE, PredictionLogServicer
from prediction_log.input_reader import InputReader
from prediction_log.key_commands import add_key_commands
from prediction_log.key_files import KeyFileInvalid
from prediction_log.migrate import schema_revisions
from prediction_log.migrate_command import add_migrate_command
from prediction_log.prediction_export import CONNECTIONS, PredictionExport
from prediction_log.prediction_queries import PredictionQueries
from prediction_log.prediction_stats import PredictionStatistics
from prediction_log.privacy_grpc_api import PrivacyServicer
from prediction_log.privacy_keys import load_privacy_keys
from prediction_log.retention_command import add_retention_command
from prediction_log.schema_watch import SchemaWatch
from prediction_log.settings import Settings
from prediction_log.stats_series import StatsSeries
from prediction_log.stream_rewind import add_rewind_command
from servicekit.access_tokens import AccessTokenVerifier, RemoteKeySource
from servicekit.event_stream import LONGEST_BLOCK, EventPublisher
from servicekit.garbage import keep_what_is_there
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id, new_id_at
from servicekit.lifecycle import every, run_until_stopped
from servicekit.redis_client import open_redis
from servicekit.revocation_follower import BLOCK, RevocationFollower
from servicekit.revocations import RevocationList
from servicekit.startup import describe_settings, run_service
from servicekit.telemetry import configure_tracing, serve_metrics
from weir.events.v1.events_pb2 import TokensRevoked
from weir.predictions.v1 import audit_pb2_grpc, predictions_pb2_grpc, privacy_pb2_grpc

_log = structlog.get_logger(__name__)

_NAME = "prediction_log"
_ISSUER_TIMEOUT = 2.0
_CHORES = 7
"""Connections for looking at the schema, partitions, retention, signing the audit trail and
letting it go, and taking and carrying out erasures."""


async def serve(settings: Settings) -> None:
    """Serves until a stop signal.

    Raises:
        OSError: an address cannot be listened on, or a file of keys is not there.
        KeyFileInvalid: a file of keys cannot be used.
    """
    keep_what_is_there()
    keys = load_privacy_keys(settings)
    tracer_provider = configure_tracing(_NAME, settings)
    tracer = tracer_provider.get_tracer(_NAME)
    decoders = decoders_of(settings)
    reading = _database(
        settings, "reading", settings.database_pool_size, settings.database_query_timeout
    )
    exporting = _database(
        settings, "exporting", settings.export_calls * CONNECTIONS, settings.database_query_timeout
    )
    writing = _database(
        settings, "writing", len(decoders) + _CHORES, settings.database_write_timeout
    )
    signer = _signer(settings)
    checkpoints = _checkpoints(settings, writing, signer)
    audit_retention = AuditRetention(writing, signer, settings.audit_days)
    redis = open_redis(
        settings.events_redis_url.get_secret_value(), timeout=settings.events_timeout
    )
    reading_redis = open_redis(
        settings.events_redis_url.get_secret_value(),
        timeout=settings.events_timeout + max(LONGEST_BLOCK, BLOCK),
    )
    revocations = RevocationList(complete=False)
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
                further_audiences=settings.further_audiences.split(","),
                revocations=revocations,
            ),
            scopes=SCOPES | privacy_grpc_api.SCOPES | audit_grpc_api.SCOPES,
            tracer_provider=tracer_provider,
            held=True,
        )
        predictions_pb2_grpc.add_PredictionLogServiceServicer_to_server(servicer, server.grpc)
        privacy = PrivacyServicer(Erasures(writing, audit, new_id), keys.pseudonyms)
        privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(privacy, server.grpc)
        reading_audit = AuditServicer(AuditQueries(reading), audit)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(reading_audit, server.grpc)
        server.expose(SERVICE)
        server.expose(privacy_grpc_api.SERVICE)
        server.expose(audit_grpc_api.SERVICE)
        watch = SchemaWatch(writing, schema_revisions(), server.set_serving)
        follower = RevocationFollower(
            reading_redis,
            revocations,
            stream=settings.revocations_stream,
            message=TokensRevoked,
            first_read=server.release,
        )
        serve_metrics(settings.metrics_address)
        async with server:
            await run_until_stopped(
                follower.run(),
                every(settings.database_check_interval, watch.look),
                *consuming(settings, watch, redis, reading_redis, writing, decoders, keys, tracer),
                *keeping_audit(settings, watch, checkpoints, audit_retention),
                *erasing(settings, watch, redis, writing, keys),
            )
            if checkpoints is not None:
                await checkpoints.finish()
    await redis.aclose()
    await reading_redis.aclose()
    await reading.close()
    await exporting.close()
    await writing.close()
    tracer_provider.shutdown()


def _signer(settings: Settings) -> AuditSigner | None:
    key = settings.audit_signing_key_file
    return load_signer(key) if key else None


def _checkpoints(
    settings: Settings, database: Database, signer: AuditSigner | None
) -> CheckpointKeeper | None:
    if signer is None:
        return None
    return CheckpointKeeper(
        database,
        signer,
        batches=settings.audit_checkpoint_batches,
        interval=settings.audit_checkpoint_interval,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _database(
    settings: Settings, name: str, connections: int, statement_timeout: float
) -> Database:
    return Database(
        database_url(settings.database_url.get_secret_value()),
        pool_size=connections,
        pool_timeout=settings.database_pool_timeout,
        connect_timeout=settings.database_connect_timeout,
        statement_timeout=statement_timeout,
        statement_cache_size=settings.database_statement_cache_size,
        name=name,
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
    add_migrate_command(commands)
    add_key_commands(commands)
    add_audit_commands(commands)
    add_dead_letter_commands(commands, decoders_of)
    add_retention_command(commands)
    add_rewind_command(commands, decoders_of)
    arguments = parser.parse_args()
    code: int = arguments.run(arguments)
    return code


def _serve(_: argparse.Namespace) -> int:
    return run_service(_NAME, Settings, serve, expected=(KeyFileInvalid,))


if __name__ == "__main__":
    sys.exit(main())
