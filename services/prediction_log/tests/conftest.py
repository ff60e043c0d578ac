"""One migrated database for the session, emptied for each test, and events to fill it with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from redis.asyncio import Redis
from sqlalchemy import func, select, text

from prediction_log import audit_grpc_api, privacy_grpc_api
from prediction_log.appending import Appender
from prediction_log.audit_facts import AuditFacts
from prediction_log.audit_grpc_api import AuditServicer
from prediction_log.audit_queries import AuditQueries
from prediction_log.database import Database, database_url
from prediction_log.erasures import Erasures
from prediction_log.event_decoding import Decode, decode_feedback, decode_prediction
from prediction_log.feedback import FeedbackDesk
from prediction_log.feedback_queries import FeedbackQueries
from prediction_log.grpc_api import SCOPES, PredictionLogServicer
from prediction_log.input_reader import InputReader
from prediction_log.insert_spans import InsertSpans
from prediction_log.key_making import MASTER_KEYS, PRIVATE_KEY, PSEUDONYM_KEY, create_keys
from prediction_log.migrate import upgrade
from prediction_log.prediction_export import PredictionExport
from prediction_log.prediction_queries import PredictionQueries
from prediction_log.prediction_stats import PredictionStatistics
from prediction_log.privacy_grpc_api import PrivacyServicer
from prediction_log.privacy_keys import PrivacyKeys, load_privacy_keys
from prediction_log.private_parts import PrivateParts
from prediction_log.record_store import RecordStore, record_writers
from prediction_log.recorder import Recorder
from prediction_log.settings import PrivacySettings
from prediction_log.stats_series import StatsSeries
from prediction_log.tables import METADATA
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.event_stream import Event, EventConsumer, EventPublisher
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id, new_id_at, time_of
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from testkit.stores import PostgresStore, as_role
from weir.events.v1 import events_pb2
from weir.predictions.v1 import audit_pb2_grpc, predictions_pb2_grpc, privacy_pb2_grpc

from .service_process import STREAM
from .service_process import launch as launch

FEEDBACK_STREAM = "weir:feedback"
AUDIT_STREAM = "weir:audit"
SERVICE_ROLE = "weir"
OWNER = "weir_owner"
Call = Callable[..., Any]


class LogUnderTest:
    """A database with what tests ask of it.

    `database` is what the service has, with the rights of the URL's role; tests themselves look and
    tamper as the superuser.
    """

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
        self._superuser = Database(
            database_url(as_role(url, "postgres")), **limits | options | {"name": "superuser"}
        )

    def recorder(
        self,
        decode: Decode = decode_prediction,
        stream: str = STREAM,
        tracer_provider: TracerProvider | None = None,
        keys: PrivacyKeys | None = None,
    ) -> Recorder:
        provider = tracer_provider or TracerProvider(shutdown_on_exit=False)
        spans = InsertSpans(provider.get_tracer("test"), stream)
        keys = keys or PrivacyKeys()
        store = RecordStore(self.database, record_writers(keys.subject_keys))
        return Recorder(stream, decode, store, spans, PrivateParts(keys.opener))

    async def rows(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        async with self._superuser.transaction() as connection:
            found = await connection.execute(text(query), parameters)
            return [dict(row) for row in found.mappings()]

    async def execute(self, statement: str) -> None:
        async with self._superuser.transaction() as connection:
            await connection.execute(text(statement))

    async def tamper(self, *statements: str) -> None:
        """Executes with the triggers off, as only a superuser can."""
        async with self._superuser.transaction() as connection:
            for statement in ("SET LOCAL session_replication_role = replica", *statements):
                await connection.execute(text(statement))

    async def count(self, table: str) -> int:
        query = select(func.count()).select_from(METADATA.tables[table])
        async with self._superuser.transaction() as connection:
            return await connection.scalar(query) or 0

    async def close(self) -> None:
        await self.database.close()
        await self._superuser.close()


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
def key_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log's keys, as `create-keys` makes them."""
    directory = tmp_path_factory.mktemp("keys")
    create_keys(directory)
    return directory


def keys_in(directory: Path) -> PrivacyKeys:
    return load_privacy_keys(
        PrivacySettings(
            master_keys_file=directory / MASTER_KEYS,
            input_sealing_private_key_file=directory / PRIVATE_KEY,
            subject_secret_file=directory / PSEUDONYM_KEY,
        )
    )


@pytest.fixture
def keys(key_directory: Path) -> PrivacyKeys:
    return keys_in(key_directory)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresStore) -> str:
    """A database to copy; nobody connects to it. Its owner is no superuser."""
    url = postgres_server.create_database(owner=OWNER)
    asyncio.run(upgrade(database_url(url), wait=10, service_role=SERVICE_ROLE, make_role=True))
    return url


@pytest.fixture(scope="session")
def migrated_url(postgres_server: PostgresStore, migrated_template: str) -> str:
    """For the service's role, which owns nothing."""
    return as_role(
        postgres_server.create_database(like=migrated_template, owner=OWNER), SERVICE_ROLE
    )


@pytest.fixture
def migrated_copy(postgres_server: PostgresStore, migrated_template: str) -> str:
    """A database of the test's own, for the service's role."""
    return as_role(
        postgres_server.create_database(like=migrated_template, owner=OWNER), SERVICE_ROLE
    )


@pytest_asyncio.fixture
async def log(migrated_url: str) -> AsyncIterator[LogUnderTest]:
    log = LogUnderTest(migrated_url)
    await log.tamper(f"TRUNCATE {', '.join(METADATA.tables)}")
    yield log
    await log.close()


@pytest_asyncio.fixture
async def open_log() -> AsyncIterator[Callable[..., LogUnderTest]]:
    """Opens further databases, or the same one with other limits."""
    opened: list[LogUnderTest] = []

    def open_one(url: str, **options: Any) -> LogUnderTest:
        opened.append(LogUnderTest(url, **options))
        return opened[-1]

    yield open_one
    for log in opened:
        await log.close()


@pytest.fixture
def servicer(redis: Redis, keys: PrivacyKeys) -> Callable[..., PredictionLogServicer]:
    """Puts the service together on a database."""

    def make(
        database: Any,
        keys: PrivacyKeys = keys,
        *,
        append_calls: int = 4,
        export_calls: int = 2,
        append_idle: float = 30.0,
        events: Redis = redis,
    ) -> PredictionLogServicer:
        def now() -> datetime:
            return datetime.now(UTC)

        queries = PredictionQueries(database)
        history = FeedbackQueries(database)
        publisher = EventPublisher(events)
        return PredictionLogServicer(
            queries,
            PredictionStatistics(database),
            StatsSeries(database, now=now),
            PredictionExport(database, at_most=export_calls, now=now),
            FeedbackDesk(queries, history, publisher, FEEDBACK_STREAM, new_id),
            history,
            Appender(
                publisher, [STREAM], new_id_at, max_calls=append_calls, longest_wait=append_idle
            ),
            InputReader(database, keys.subject_keys, AuditFacts(publisher, AUDIT_STREAM, new_id)),
            keys.pseudonyms,
        )

    return make


@pytest_asyncio.fixture
async def serve(
    tmp_path: Path,
    issuer: FakeIssuer,
    servicer: Callable[..., PredictionLogServicer],
    redis: Redis,
    keys: PrivacyKeys,
) -> AsyncIterator[Callable[..., Any]]:
    """Serves a database over gRPC; returns a function that calls it."""
    servers: list[GrpcServer] = []
    channels: list[grpc.aio.Channel] = []

    async def start(database: Any, keys: PrivacyKeys = keys, **options: Any) -> Call:
        address = f"unix:{tmp_path}/grpc{len(servers)}.sock"
        server = GrpcServer(
            GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
            verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
            scopes=SCOPES | privacy_grpc_api.SCOPES | audit_grpc_api.SCOPES,
            # Spans of calls are tested elsewhere and cost more than the calls.
            tracer_provider=TracerProvider(ALWAYS_OFF, shutdown_on_exit=False),
        )
        predictions_pb2_grpc.add_PredictionLogServiceServicer_to_server(
            servicer(database, keys, **options), server.grpc
        )
        audit = AuditFacts(EventPublisher(redis), AUDIT_STREAM, new_id)
        privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(
            PrivacyServicer(Erasures(database, audit, new_id), keys.pseudonyms), server.grpc
        )
        audit_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditServicer(AuditQueries(database), audit), server.grpc
        )
        await server.start()
        servers.append(server)
        channel = grpc.aio.insecure_channel(address)
        channels.append(channel)
        stub = predictions_pb2_grpc.PredictionLogServiceStub(channel)
        others = [
            privacy_pb2_grpc.PrivacyServiceStub(channel),
            audit_pb2_grpc.AuditServiceStub(channel),
        ]

        async def call(request: Any, *, token: str = "", seconds: float = 10.0) -> Any:
            token = token or issuer.token(*sorted(set(SCOPES.values())))
            metadata = (("authorization", f"Bearer {token}"),)
            # Append is the one method that takes a stream of requests.
            single = isinstance(request, Message)
            name = type(request).__name__.removesuffix("Request") if single else "Append"
            owner = next((other for other in others if hasattr(other, name)), stub)
            method = getattr(owner, name)
            try:
                if name == "ExportPredictions":
                    answers = method(request, metadata=metadata, timeout=seconds)
                    return [answer async for answer in answers]
                return await method(request, metadata=metadata, timeout=seconds)
            except AioRpcError as error:
                raise from_rpc_error(error, "prediction_log") from error

        return call

    yield start
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.stop()


@pytest_asyncio.fixture
async def call(serve: Callable[[Any], Any], log: LogUnderTest) -> Call:
    """Calls the service of `log`."""
    answer: Call = await serve(log.database)
    return answer


@pytest.fixture
def eraser(issuer: FakeIssuer) -> str:
    """The token of somebody who may erase, and look whether it worked."""
    return issuer.token("privacy:erase", "predictions:read", "inputs:read", client_id="officer")


@pytest.fixture
def written(log: LogUnderTest, redis: Redis) -> Call:
    """Writes what is on a stream, the one of feedback by default; returns it."""

    async def write(stream: str = FEEDBACK_STREAM, decode: Decode = decode_feedback) -> list[Event]:
        seen: list[Event] = []
        recorder = log.recorder(decode, stream)

        async def handle(events: Sequence[Event]) -> None:
            seen.extend(events)
            await recorder.record(events)

        consumer = EventConsumer(
            redis, stream=stream, group="prediction_log", consumer="test", block=0.01
        )
        while await consumer.consume_once(handle):
            pass
        return seen

    return write
