"""The contract of references over a real server, for tests."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from grpc.aio import AioRpcError
from opentelemetry.sdk.trace import TracerProvider

from drift.history_store import HistoryStore
from drift.model_versions import ModelVersions
from drift.reference_desk import ReferenceDesk
from drift.reference_grpc_api import SCOPES, SERVICE, ReferenceServicer
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_client import open_channel
from servicekit.grpc_errors import from_rpc_error
from servicekit.grpc_server import GrpcServer
from servicekit.identifiers import new_id
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.drift.v1 import references_pb2 as pb
from weir.drift.v1 import references_pb2_grpc

from .serving import NOW

Call = Callable[..., Awaitable[Any]]


def desk(service: Any) -> ReferenceDesk:
    """Over the state of a monitor."""
    return ReferenceDesk(
        service.store,
        HistoryStore(service.redis),
        ModelVersions(service.store, service.references),
        service.references,
        minimum_rows=30,
        incidents_stream="weir:incidents",
        clock=lambda: NOW,
        make_id=new_id,
    )


@asynccontextmanager
async def calling(service: Any, directory: Path, issuer: FakeIssuer) -> AsyncIterator[Call]:
    """Calls a method; the error comes as the service raised it."""
    address = f"unix:{directory}/references.sock"
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes=SCOPES,
        tracer_provider=tracer_provider,
    )
    references_pb2_grpc.add_ReferenceServiceServicer_to_server(
        ReferenceServicer(desk(service)), server.grpc
    )
    server.expose(SERVICE)

    async def ask(method: str, token: str = "", **fields: Any) -> Any:
        async def source() -> str:
            return token or issuer.token("drift:read", "drift:manage")

        channel = open_channel(
            address, token=source, default_timeout=60.0, tracer_provider=tracer_provider
        )
        async with channel:
            stub: Any = references_pb2_grpc.ReferenceServiceStub(channel)
            request = getattr(pb, f"{method}Request")(**{"model": "reviews"} | fields)
            try:
                return await getattr(stub, method)(request)
            except AioRpcError as error:
                raise from_rpc_error(error, "drift") from error

    async with server:
        yield ask
