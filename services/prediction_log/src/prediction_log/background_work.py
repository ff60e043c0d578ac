"""What the log does without being asked: consuming the streams, and its chores."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from opentelemetry.trace import Tracer
from redis.asyncio import Redis

from prediction_log.audit_checkpoints import CheckpointKeeper
from prediction_log.audit_retention import AuditRetention
from prediction_log.database import Database
from prediction_log.erased_letters import ErasedLetters
from prediction_log.erasure_work import ErasureWork, StreamTails
from prediction_log.event_decoding import (
    Decode,
    decode_audit,
    decode_deployment,
    decode_feedback,
    decode_measurement,
    decode_prediction,
)
from prediction_log.incident_decoding import decode_incident
from prediction_log.insert_spans import InsertSpans
from prediction_log.partitions import keep_partitions
from prediction_log.privacy_keys import PrivacyKeys
from prediction_log.private_parts import PrivateParts
from prediction_log.record_store import RecordStore, record_writers
from prediction_log.recorder import Recorder
from prediction_log.retention import Retention
from prediction_log.retention_classes import UnknownClassWatch
from prediction_log.retention_store import RetentionStore
from prediction_log.schema_watch import SchemaWatch
from prediction_log.settings import Settings
from prediction_log.stream_watch import StreamWatch
from servicekit.event_stream import EventConsumer
from servicekit.lifecycle import every

_log = structlog.get_logger(__name__)

_AUDIT_LOOK_INTERVAL = 5.0

Work = Coroutine[Any, Any, None]
"""Goes on until it is cancelled; begins when the schema is there."""


def decoders_of(settings: Settings) -> dict[str, Decode]:
    """How the events of each stream become records."""
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


def consuming(
    settings: Settings,
    watch: SchemaWatch,
    redis: Redis,
    reading_redis: Redis,
    database: Database,
    decoders: Mapping[str, Decode],
    keys: PrivacyKeys,
    tracer: Tracer,
) -> list[Work]:
    """A consumer for each stream, and what keeps streams and partitions as they must be."""
    store = RecordStore(database, record_writers(keys.subject_keys))
    private_parts = PrivateParts(keys.opener)
    stream_watch = StreamWatch(redis, list(decoders), settings.consumer_group)
    partitioned = asyncio.Event()

    async def look_after_partitions() -> None:
        await keep_partitions(
            database, datetime.now(UTC), settings.partitions_ahead, settings.classes()
        )
        partitioned.set()

    async def consume(stream: str, decode: Decode) -> None:
        consumer = EventConsumer(
            reading_redis,
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


def erasing(
    settings: Settings, watch: SchemaWatch, redis: Redis, database: Database, keys: PrivacyKeys
) -> list[Work]:
    """Carrying out erasures, where there are the keys for it."""
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


def keeping_audit(
    settings: Settings,
    watch: SchemaWatch,
    checkpoints: CheckpointKeeper | None,
    retention: AuditRetention,
) -> list[Work]:
    """Signing the audit trail now and then, and letting go what is old."""

    async def sign() -> None:
        if checkpoints is None:
            _log.info("audit_trail_unsigned", remedy="set WEIR_AUDIT_SIGNING_KEY_FILE")
            return
        await watch.ready.wait()
        await every(_AUDIT_LOOK_INTERVAL, checkpoints.look)

    async def let_go() -> None:
        await watch.ready.wait()
        await every(settings.retention_interval, retention.look)

    return [sign(), let_go()]
