"""What health checks hear."""

import asyncio
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_server import LIVE, GrpcServer
from servicekit.settings import GrpcServerSettings
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer

_Status = health_pb2.HealthCheckResponse


async def test_the_process_is_live_whatever_its_services_can_do(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={},
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    server.expose("weir.Echo")
    async with server, grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def status(service: str) -> int:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            return int(answer.status)

        for serving, expected in ((False, _Status.NOT_SERVING), (True, _Status.SERVING)):
            await server.set_serving(serving)
            assert await status("weir.Echo") == expected
            assert await status("") == expected
            assert await status(LIVE) == _Status.SERVING


async def test_server_is_not_serving_before_callers_can_be_checked(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=0.1),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={},
        tracer_provider=TracerProvider(shutdown_on_exit=False),
        held=True,
    )
    async with server, grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def status(service: str) -> int:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            return int(answer.status)

        await server.set_serving(True)
        assert await status("") == _Status.NOT_SERVING
        assert await status(LIVE) == _Status.SERVING
        await server.release()
        assert await status("") == _Status.SERVING
        await server.set_serving(False)
        assert await status("") == _Status.NOT_SERVING


async def test_who_watches_hears_that_the_server_stops(tmp_path: Path, issuer: FakeIssuer) -> None:
    address = f"unix:{tmp_path}/grpc.sock"
    server = GrpcServer(
        GrpcServerSettings(grpc_address=address, shutdown_grace=5.0),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={},
        tracer_provider=TracerProvider(shutdown_on_exit=False),
    )
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest(service=LIVE))
        assert (await watching.read()).status == _Status.SERVING
        stopping = asyncio.create_task(server.stop())
        assert (await watching.read()).status == _Status.NOT_SERVING
        watching.cancel()
        await stopping
