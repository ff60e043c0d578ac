"""The drift contract over a real server, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

from drift.decisions import Decisions
from drift.grpc_api import SCOPES, SERVICE, DriftServicer
from drift.history_store import HistoryStore
from drift.model_versions import ModelVersions
from drift.range_comparison import RangeComparer
from drift.report_document import ReportComposer
from drift.reporter import Reporter
from drift.signal_power import Planner
from drift.verdict import SmallestEffects
from drift.version_state import WindowSize
from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer
from weir.drift.v1 import drift_pb2_grpc

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def servicer(service: Any) -> DriftServicer:
    """All that answers, over the state of a monitor."""
    history = HistoryStore(service.redis)
    versions = ModelVersions(service.store, service.references)
    own = Decisions(minimum_rows=30, q=0.05, smallest=SmallestEffects())
    return DriftServicer(
        Reporter(
            history,
            versions,
            ReportComposer(service.decisions, minimum_rows=30),
            minimum_rows=30,
            window_size=WindowSize(100),
            clock=lambda: NOW,
        ),
        RangeComparer(
            history,
            versions,
            ReportComposer(own, minimum_rows=30),
            minimum_rows=30,
            clock=lambda: NOW,
        ),
        versions,
        Planner(minimum_rows=30, q=0.05, smallest=SmallestEffects()),
    )


@asynccontextmanager
async def serving(service: Any, directory: Path, issuer: FakeIssuer) -> AsyncIterator[Any]:
    """Opens channels: `channel(token)`; without one, with a token that may read."""
    address = f"unix:{directory}/grpc.sock"
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes=SCOPES,
        tracer_provider=tracer_provider,
    )
    drift_pb2_grpc.add_DriftServiceServicer_to_server(servicer(service), server.grpc)
    server.expose(SERVICE)

    def channel(token: str | None = None) -> Any:
        async def source() -> str:
            return issuer.token("drift:read") if token is None else token

        return open_channel(
            address, token=source, default_timeout=60.0, tracer_provider=tracer_provider
        )

    async with server:
        yield channel
