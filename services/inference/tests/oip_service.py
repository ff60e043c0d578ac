"""The Open Inference Protocol of a running service, over a real channel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.sdk.trace import TracerProvider
from redis.asyncio import Redis

from inference.admission import Limits
from inference.model_control import Control, ModelControl
from inference.oip_grpc_api import OIP_SCOPES, OIP_SERVICE, OipServicer
from inference.oip_inference import OipInference
from inference.oip_statistics import OipStatistics
from inference.predictor import Predictor
from inference.recorder import Recorder
from inference.scheduler import Scheduler
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.event_stream import EventPublisher
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.events.v1 import events_pb2
from weir.oip.v2 import open_inference_pb2_grpc

from .served import Served

STREAM = "weir:predictions:0"
MOST_ROWS = 4


@dataclass
class OipService:
    """Its address, and what it does."""

    address: str
    served: Served
    issuer: FakeIssuer
    redis: Redis
    ready: bool = True
    channels: list[grpc.aio.Channel] = field(default_factory=list)

    def stub(self, *scopes: str, token: str | None = None) -> "Authorised":
        """A client with a token of those scopes; without a token if it is empty."""
        self.channels.append(grpc.aio.insecure_channel(self.address))
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(self.channels[-1])
        return Authorised(stub, self.issuer.token(*scopes) if token is None else token)

    async def recorded(self) -> list[events_pb2.PredictionRecorded]:
        """What is on the stream."""
        entries = await self.redis.xrange(STREAM)
        return [events_pb2.PredictionRecorded.FromString(fields[b"data"]) for _, fields in entries]


@dataclass
class Authorised:
    """A stub whose calls carry a token."""

    stub: Any
    token: str

    def __getattr__(self, method: str) -> Any:
        def call(request: Any, *metadata: tuple[str, str | bytes]) -> Any:
            own = (("authorization", f"Bearer {self.token}"),) if self.token else ()
            return getattr(self.stub, method)(request, metadata=(*own, *metadata), timeout=20)

        return call


@asynccontextmanager
async def running_oip(
    directory: Path,
    served: Served,
    redis: Redis,
    issuer: FakeIssuer,
    *,
    control: Control = "explicit",
) -> AsyncIterator[OipService]:
    """The service on the models that are served."""
    address = f"unix:{directory}/oip.sock"
    service = OipService(address, served, issuer, redis)
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes=OIP_SCOPES,
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    statistics = OipStatistics()
    async with Scheduler(2, Limits(items=64, seconds=10.0, short_queue=64)) as scheduler:
        predictor = Predictor(
            served.repository,
            Recorder(EventPublisher(redis), STREAM, "block"),
            scheduler,
            new_id,
            max_items_per_call=MOST_ROWS,
        )
        servicer = OipServicer(
            OipInference(predictor, served.repository, statistics, most_rows=MOST_ROWS),
            served.repository,
            ModelControl(served.repository, served.watch, control),
            statistics,
            is_ready=lambda: service.ready,
            answer_timeout=10.0,
        )
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server.grpc)
        server.expose(OIP_SERVICE)
        async with server:
            yield service
            for channel in service.channels:
                await channel.close()
