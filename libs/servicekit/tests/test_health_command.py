"""What a container's health check hears, from real servers."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Thread

import pytest
from opentelemetry.sdk.trace import TracerProvider

from servicekit.access_tokens import AccessTokenVerifier
from servicekit.grpc_server import GrpcServer
from servicekit.health_command import Unhealthy, ask_grpc, ask_http
from servicekit.settings import GrpcServerSettings
from testkit.certificates import Authority
from testkit.issuer import AUDIENCE, ISSUER, FakeIssuer


@contextmanager
def answering(status: int, context: SSLContext | None = None) -> Iterator[dict[str, str]]:
    """A server whose health has this status; the variables of its service."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield {"WEIR_HTTP_PORT": str(server.server_port)}
        finally:
            server.shutdown()
            thread.join()


def run(transport: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "servicekit.health_command", transport]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True)


def server_on(
    tmp_path: Path, issuer: FakeIssuer, certificate: Path | None = None, key: Path | None = None
) -> GrpcServer:
    return GrpcServer(
        GrpcServerSettings(
            grpc_address=f"unix:{tmp_path / 'grpc.sock'}",
            grpc_tls_certificate_file=certificate,
            grpc_tls_key_file=key,
        ),
        verifier=AccessTokenVerifier(issuer, issuer=ISSUER, audience=AUDIENCE),
        scopes={},
        tracer_provider=TracerProvider(),
    )


def test_a_ready_http_service_is_healthy() -> None:
    with answering(200) as environment:
        assert run("http", environment).returncode == 0


def test_a_service_that_is_not_ready_is_unhealthy_in_one_line() -> None:
    with answering(503) as environment:
        done = run("http", environment)

    assert done.returncode == 1
    assert done.stderr == "/health/ready answers 503\n"


def test_a_service_that_does_not_listen_is_unhealthy_in_one_line() -> None:
    with answering(200) as environment:
        pass
    done = run("http", environment)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_https_is_asked_with_the_servers_own_certificate_whatever_its_name(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("gateway", "weir.example.com")
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with answering(200, context) as environment:
        ask_http(environment | {"WEIR_TLS_CERTIFICATE_FILE": str(certificate)}, 5.0)


async def test_a_grpc_service_is_healthy_once_it_serves(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with server_on(tmp_path, issuer) as server:
        environment = {"WEIR_GRPC_ADDRESS": server.address}
        before = await asyncio.to_thread(run, "grpc", environment)
        await server.set_serving(True)
        after = await asyncio.to_thread(run, "grpc", environment)

    assert (before.returncode, after.returncode) == (1, 0)
    assert before.stderr.endswith("is NOT_SERVING\n")


async def test_a_grpc_service_is_asked_over_tls_where_it_speaks_that(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", "inference")
    async with server_on(tmp_path, issuer, certificate, key) as server:
        await server.set_serving(True)
        environment = {
            "WEIR_GRPC_ADDRESS": server.address,
            "WEIR_GRPC_TLS_CERTIFICATE_FILE": str(certificate),
            "WEIR_GRPC_CA_FILE": str(authority.file),
        }
        await asyncio.to_thread(ask_grpc, environment, 5.0, "", "inference")


def test_a_grpc_service_that_is_away_is_unhealthy(tmp_path: Path) -> None:
    with pytest.raises(Unhealthy, match="UNAVAILABLE"):
        ask_grpc({"WEIR_GRPC_ADDRESS": f"unix:{tmp_path / 'none.sock'}"}, 5.0, "", "")
