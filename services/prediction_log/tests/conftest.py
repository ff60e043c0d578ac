"""One migrated database for the session, emptied for each test, and events to fill it with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import func, select, text

from prediction_log.database import Database, database_url
from prediction_log.event_decoding import Decode, decode_prediction
from prediction_log.insert_spans import InsertSpans
from prediction_log.migrate import upgrade
from prediction_log.record_store import RecordStore, record_writers
from prediction_log.recorder import Recorder
from prediction_log.tables import METADATA
from servicekit.event_stream import Event
from servicekit.identifiers import new_id, time_of
from testkit.stores import PostgresStore
from weir.events.v1 import events_pb2

STREAM = "weir:predictions:0"


class LogUnderTest:
    """A database with what tests ask of it."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        limits: dict[str, Any] = {
            "pool_size": 5,
            "pool_timeout": 1.0,
            "connect_timeout": 1.0,
            "statement_timeout": 10.0,
            "statement_cache_size": 100,
        }
        self.database = Database(database_url(url), **limits | options)

    def recorder(
        self,
        decode: Decode = decode_prediction,
        stream: str = STREAM,
        tracer_provider: TracerProvider | None = None,
    ) -> Recorder:
        provider = tracer_provider or TracerProvider(shutdown_on_exit=False)
        spans = InsertSpans(provider.get_tracer("test"), stream)
        return Recorder(stream, decode, RecordStore(self.database, record_writers()), spans)

    async def rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        async with self.database.transaction() as connection:
            found = await connection.execute(text(query), parameters)
            return [dict(row) for row in found.mappings()]

    async def execute(self, statement: str) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(text(statement))

    async def count(self, table: str) -> int:
        query = select(func.count()).select_from(METADATA.tables[table])
        async with self.database.transaction() as connection:
            return await connection.scalar(query) or 0


class Facts:
    """Makes valid facts; keyword arguments replace fields."""

    def prediction(self, **changes: Any) -> events_pb2.PredictionRecorded:
        identifier = changes.pop("id", None) or new_id()
        confidence = changes.get("confidence", 0.75)
        values: dict[str, Any] = {
            "prediction_id": str(identifier),
            "model": "sentiment",
            "model_version": "1",
            "tenant": "tenant-1",
            "client_id": "client-1",
            "request_id": "request-1",
            "input": events_pb2.InputFacts(
                sha256=bytes(32), characters=40, tokens=12, unknown_tokens=1, special_tokens=2
            ),
            "label": "positive",
            "confidence": confidence,
            "probabilities": {"positive": confidence, "negative": 1 - confidence},
            "inference_ms": 3.5,
        }
        fact = events_pb2.PredictionRecorded(**values | changes)
        if "predicted_at" not in changes:
            fact.predicted_at.FromDatetime(time_of(identifier))
        return fact

    def feedback(
        self, about: events_pb2.PredictionRecorded, **changes: Any
    ) -> events_pb2.FeedbackRecorded:
        identifier = new_id()
        values: dict[str, Any] = {
            "feedback_id": str(identifier),
            "prediction_id": about.prediction_id,
            "tenant": about.tenant,
            "client_id": about.client_id,
        }
        fact = events_pb2.FeedbackRecorded(**values | changes)
        fact.given_at.FromDatetime(time_of(identifier))
        return fact

    def events(self, *facts: Message, traceparent: str = "") -> list[Event]:
        return [
            Event(
                entry_id=f"1700000000000-{number}",
                type_name=fact.DESCRIPTOR.full_name,
                data=fact.SerializeToString(),
                traceparent=traceparent,
            )
            for number, fact in enumerate(facts)
        ]


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture(scope="session")
def migrated_url(postgres_server: PostgresStore) -> str:
    url = postgres_server.create_database()
    asyncio.run(upgrade(database_url(url), wait=10))
    return url


@pytest_asyncio.fixture
async def log(migrated_url: str) -> AsyncIterator[LogUnderTest]:
    log = LogUnderTest(migrated_url)
    await log.execute(f"TRUNCATE {', '.join(METADATA.tables)}")
    yield log
    await log.database.close()


@pytest_asyncio.fixture
async def open_log() -> AsyncIterator[Callable[..., LogUnderTest]]:
    """Opens further databases, or the same one with other limits."""
    opened: list[LogUnderTest] = []

    def open_one(url: str, **options: Any) -> LogUnderTest:
        opened.append(LogUnderTest(url, **options))
        return opened[-1]

    yield open_one
    for log in opened:
        await log.database.close()
