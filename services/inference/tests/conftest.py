"""A running inference service on a tiny model, with a real event stream."""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from inference.admission import Limits
from inference.grpc_api import SCOPES, SERVICE, InferenceServicer
from inference.model_repository import ModelRepository, load_repository
from inference.predictor import Predictor
from inference.recorder import Recorder
from inference.scheduler import Scheduler
from inference.sealing import InputSealer
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.event_stream import EventPublisher
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from testkit.tiny_model import write_tiny_package
from weir.events.v1 import events_pb2
from weir.inference.v1 import inference_pb2_grpc

from .served import Served

STREAM = "weir:predictions:0"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_tiny_package(root)
    return root


@pytest.fixture(scope="session")
def repository(packages: Path) -> ModelRepository:
    return load_repository(packages)


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A repository with version 1 of the model `sentiment`, which was looked at once."""
    with ThreadPoolExecutor(1) as loader:
        served = Served(tmp_path, loader)
        served.add("1")
        await served.watch.look()
        yield served


@pytest.fixture
def recorded(redis: Redis) -> Callable[[], Awaitable[list[events_pb2.PredictionRecorded]]]:
    """Reads what is on the predictions stream."""

    async def read() -> list[events_pb2.PredictionRecorded]:
        entries = await redis.xrange(STREAM)
        return [events_pb2.PredictionRecorded.FromString(fields[b"data"]) for _, fields in entries]

    return read


@pytest.fixture
def sealing_key() -> X25519PublicKey | None:
    """The log's public key; there is none by default."""
    return None


@pytest_asyncio.fixture
async def predictor(
    repository: ModelRepository, redis: Redis, sealing_key: X25519PublicKey | None
) -> AsyncIterator[Predictor]:
    limits = Limits(items=8, seconds=1.0, short_queue=8)
    with ThreadPoolExecutor(1) as executor:
        sealer = InputSealer(sealing_key, executor) if sealing_key else None
        async with Scheduler(2, limits) as scheduler:
            yield Predictor(
                repository,
                Recorder(EventPublisher(redis), STREAM, "block", sealer),
                scheduler,
                new_id,
                max_items_per_call=4,
            )


@pytest_asyncio.fixture
async def connect(
    tmp_path: Path, predictor: Predictor, repository: ModelRepository, issuer: FakeIssuer
) -> AsyncIterator[Callable[[str], inference_pb2_grpc.InferenceServiceStub]]:
    """Opens a client of the running service that carries the given token."""
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    address = f"unix:{tmp_path}/inference.sock"
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes=SCOPES,
        tracer_provider=tracer_provider,
    )
    servicer = InferenceServicer(predictor, repository)
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server.grpc)
    server.expose(SERVICE)
    channels: list[grpc.aio.Channel] = []

    def connect(token: str) -> inference_pb2_grpc.InferenceServiceStub:
        async def source() -> str:
            return token

        channels.append(
            open_channel(
                address, token=source, default_timeout=5.0, tracer_provider=tracer_provider
            )
        )
        return inference_pb2_grpc.InferenceServiceStub(channels[-1])

    async with server:
        yield connect
        for channel in channels:
            await channel.close()
